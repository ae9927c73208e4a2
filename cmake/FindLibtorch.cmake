# libtorch from an unpacked torch wheel, as imported targets:
#   Libtorch::cpu   c10 and torch_cpu (works without any CUDA driver)
#   Libtorch::cuda  the above with c10_cuda and torch_cuda; only where SAMNER_CUDA is on
#
# Libtorch_ROOT names the folder that holds include/ and lib/ (a wheel's torch/ folder, or a libtorch archive).
# The wheel's own TorchConfig.cmake is not used: it needs nvcc and links every library it has.
find_path(Libtorch_INCLUDE_DIR ATen/ATen.h HINTS ${Libtorch_ROOT}/include NO_DEFAULT_PATH)
foreach(library c10 torch_cpu c10_cuda torch_cuda)
  find_library(Libtorch_${library}_LIBRARY ${library} HINTS ${Libtorch_ROOT}/lib NO_DEFAULT_PATH)
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libtorch REQUIRED_VARS Libtorch_torch_cpu_LIBRARY Libtorch_c10_LIBRARY Libtorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "set Libtorch_ROOT to the torch folder of the wheel, or run ./bootstrap")

# The wheel's include folder also holds headers of fmt, which would hide those of the fmt that samner links. So only
# libtorch's own folders are made visible.
set(_libtorch_include ${CMAKE_BINARY_DIR}/libtorch-include)
if(Libtorch_FOUND)
  file(MAKE_DIRECTORY ${_libtorch_include})
  foreach(folder ATen c10 caffe2 torch)
    if(EXISTS ${Libtorch_INCLUDE_DIR}/${folder} AND NOT EXISTS ${_libtorch_include}/${folder})
      file(CREATE_LINK ${Libtorch_INCLUDE_DIR}/${folder} ${_libtorch_include}/${folder} SYMBOLIC)
    endif()
  endforeach()
endif()

function(_libtorch_import name dependencies)
  if(TARGET Libtorch::${name})
    return()
  endif()
  add_library(Libtorch::${name} SHARED IMPORTED)
  set_target_properties(Libtorch::${name} PROPERTIES
    IMPORTED_LOCATION ${Libtorch_${name}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES "${_libtorch_include}"
    INTERFACE_LINK_LIBRARIES "${dependencies}")
endfunction()

if(Libtorch_FOUND)
  _libtorch_import(c10 "")
  _libtorch_import(torch_cpu "Libtorch::c10")
  if(NOT TARGET Libtorch::cpu)
    add_library(Libtorch::cpu INTERFACE IMPORTED)
    # The CUDA runtime and CUPTI that libtorch_cpu.so names are found beside it or through the loader's own paths.
    set_property(TARGET Libtorch::cpu PROPERTY INTERFACE_LINK_LIBRARIES
      "Libtorch::torch_cpu;Libtorch::c10;-Wl,--allow-shlib-undefined")
  endif()
  if(SAMNER_CUDA AND NOT TARGET Libtorch::cuda)
    find_package(CUDAToolkit REQUIRED)
    _libtorch_import(c10_cuda "Libtorch::c10;CUDA::cudart")
    _libtorch_import(torch_cuda "Libtorch::c10_cuda;Libtorch::torch_cpu")
    add_library(Libtorch::cuda INTERFACE IMPORTED)
    # Nothing refers to torch_cuda by symbol: it registers itself when it is loaded.
    set_property(TARGET Libtorch::cuda PROPERTY INTERFACE_LINK_LIBRARIES
      "Libtorch::cpu;-Wl,--no-as-needed,${Libtorch_torch_cuda_LIBRARY},${Libtorch_c10_cuda_LIBRARY},--as-needed;Libtorch::c10_cuda;CUDA::cudart")
  endif()
endif()
mark_as_advanced(Libtorch_INCLUDE_DIR)
