# Which LibTorch find_package(Torch) has found. Read when fastcpp is built and again where it is used, so that both mean
# the same: LibTorch promises no binary interface from one version to the next.

# The version that its headers state: that is what gets compiled in (Debian's package 1.13.1 says 1.13.0 in all places).
function(fastcpp_libtorch_version out)
  set(version "")
  foreach(folder ${TORCH_INCLUDE_DIRS})
    # The second holds the numbers in newer versions, the first then only includes it.
    foreach(file torch/version.h torch/headeronly/version.h)
      if(version STREQUAL "" AND EXISTS "${folder}/${file}")
        file(STRINGS "${folder}/${file}" lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
        if("${lines}" MATCHES "_MAJOR +([0-9]+)")
          set(version "${CMAKE_MATCH_1}")
          foreach(part MINOR PATCH)
            if("${lines}" MATCHES "_${part} +([0-9]+)")
              string(APPEND version ".${CMAKE_MATCH_1}")
            endif()
          endforeach()
        endif()
      endif()
    endforeach()
  endforeach()
  if(version STREQUAL "")
    set(version "${Torch_VERSION}")
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# The binary interface of std::string: 1 (GCC's since version 5) or 0 (the one before). LibTorch's own flags come last on
# the command line and win.
function(fastcpp_libtorch_cxx11_abi out)
  set(options "")
  if(TARGET torch)
    get_target_property(options torch INTERFACE_COMPILE_OPTIONS)
  endif()
  set(abi 1)
  foreach(flags "${CMAKE_CXX_FLAGS}" "${TORCH_CXX_FLAGS}" "${options}")
    if(flags MATCHES "_GLIBCXX_USE_CXX11_ABI=([01])")
      set(abi "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  set(${out} "${abi}" PARENT_SCOPE)
endfunction()
