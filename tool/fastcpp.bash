# Completion of the command fastcpp for bash.
_fastcpp() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "train predict export serve check prepare doctor --help --version" -- "$word"))
    return
  fi
  if [[ $word == -* ]]; then
    # The program itself knows its options.
    local options
    options=$(fastcpp "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _fastcpp fastcpp
