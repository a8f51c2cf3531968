# fastcpp.pc and fastcpp-predict.pc, for builds without CMake. What they name relative to themselves moves with the folder;
# LibTorch and OpenCV's core, which stand in the public headers, are where this build found them.
#
# A shared fastcpp knows what it links itself. A static one leaves that to the program, and names it among the public
# requirements: --static would go on to what those libraries themselves are made of, which is not installed with them.

set(_where "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH _up "${_where}" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" _up "${_up}")
set(PC_PREFIX "\${pcfiledir}/${_up}")
foreach(folder LIBDIR INCLUDEDIR)
  file(RELATIVE_PATH _below "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_${folder}}")
  set(PC_${folder} "\${prefix}/${_below}")
endforeach()

set(PC_CFLAGS "")
foreach(folder ${TORCH_INCLUDE_DIRS} ${OpenCV_INCLUDE_DIRS})
  if(EXISTS "${folder}" AND NOT folder IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    get_filename_component(folder "${folder}" ABSOLUTE)
    string(APPEND PC_CFLAGS " -I${folder}")
  endif()
endforeach()
string(APPEND PC_CFLAGS " -D_GLIBCXX_USE_CXX11_ABI=${FASTCPP_LIBTORCH_CXX11_ABI}")
string(STRIP "${PC_CFLAGS}" PC_CFLAGS)

# Folders of libraries that the linker does not look into by itself.
set(_folders "")
foreach(library ${TORCH_LIBRARIES} opencv_core)
  if(TARGET ${library})
    get_target_property(configurations ${library} IMPORTED_CONFIGURATIONS)
    foreach(configuration ${configurations})
      get_target_property(library_file ${library} IMPORTED_LOCATION_${configuration})
      if(library_file)
        get_filename_component(folder "${library_file}" DIRECTORY)
        list(APPEND _folders "${folder}")
      endif()
    endforeach()
  elseif(IS_ABSOLUTE "${library}")
    get_filename_component(folder "${library}" DIRECTORY)
    list(APPEND _folders "${folder}")
  endif()
endforeach()
list(REMOVE_DUPLICATES _folders)
list(REMOVE_ITEM _folders ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES})
list(TRANSFORM _folders PREPEND "-L")
list(JOIN _folders " " _folders)
# libtorch itself holds nothing but what it loads (a GPU's library, where there is one), so a linker would leave it out.
set(_interface_libs "${_folders} -Wl,--push-state,--no-as-needed,-ltorch,--pop-state -ltorch_cpu -lc10 -lopencv_core")
string(STRIP "${_interface_libs}" _interface_libs)

function(_fastcpp_pkg_config name library description requires libs)
  set(PC_NAME "${name}")
  set(PC_LIBRARY "${library}")
  set(PC_DESCRIPTION "${description}")
  set(PC_LIBS "${_interface_libs}")
  set(PC_REQUIRES "")
  if(FASTCPP_IS_STATIC)
    set(PC_REQUIRES "${requires}")
    string(PREPEND PC_LIBS "${libs} ")
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/fastcpp.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
endfunction()

set(_fmt "")
if(FASTCPP_FMT STREQUAL "fmt::fmt")
  set(_fmt "fmt, ")
endif()
set(_images "zlib, libpng, libturbojpeg")
_fastcpp_pkg_config(fastcpp fastcpp "${PROJECT_DESCRIPTION}"
  "${_fmt}libcurl, libarchive, libcrypto, cairo, cairo-ft, fontconfig, libpcre2-8, ${_images}"
  "-lopencv_imgcodecs -lopencv_imgproc -fopenmp -pthread")
_fastcpp_pkg_config(fastcpp-predict fastcpp_predict "The part of fastcpp that predicts from a trained model"
  "${_fmt}${_images}" "-lopencv_imgcodecs -lopencv_imgproc -fopenmp -pthread")
