# libbittern (shared, only bt_* exported), the objects it is made of (tests link those), and the commands.
set(sources "")
foreach(module base tensor formats pixels cpu program nn loss data report retrieval method train encoder import)
  file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${module}/*.c)
  list(APPEND sources ${found})
endforeach()
if(NOT BITTERN_WITH_SIMD)
  list(FILTER sources EXCLUDE REGEX "_avx(2|512)\\.c$")
endif()

# Without libhdf5 one file says so in place of four.
if(BITTERN_WITH_HDF5)
  list(FILTER sources EXCLUDE REGEX "/hdf5_absent\\.c$")
else()
  list(FILTER sources EXCLUDE REGEX "/hdf5_(common|guard|read|write)\\.c$")
endif()

# The Fen is drawn with cairo throughout: without it, one file says so in place of the module.
if(BITTERN_WITH_CAIRO)
  file(GLOB fen_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/fen/*.c)
  list(FILTER fen_sources EXCLUDE REGEX "fen_absent\\.c$")
else()
  set(fen_sources ${CMAKE_SOURCE_DIR}/src/fen/fen_absent.c)
endif()

add_library(bittern_objects OBJECT ${sources} ${fen_sources})
target_link_libraries(bittern_objects PUBLIC bittern_flags)
foreach(row "ONEDNN|bittern_dnnl" "LAPACK|bittern_lapack" "PNG|PkgConfig::BITTERN_PC_PNG" "JPEG|PkgConfig::BITTERN_PC_JPEG"
        "WEBP|PkgConfig::BITTERN_PC_WEBP" "TIFF|PkgConfig::BITTERN_PC_TIFF" "YAML|PkgConfig::BITTERN_PC_YAML" "CAIRO|PkgConfig::BITTERN_PC_CAIRO"
        "HDF5|PkgConfig::BITTERN_PC_HDF5" "ZLIB|PkgConfig::BITTERN_PC_ZLIB")
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 name)
  list(GET row 1 target)
  if(BITTERN_WITH_${name})
    target_compile_definitions(bittern_objects PUBLIC BITTERN_WITH_${name})
    target_link_libraries(bittern_objects PUBLIC ${target})
  endif()
endforeach()
target_compile_definitions(bittern_objects PRIVATE BITTERN_VERSION="${PROJECT_VERSION}"
  $<$<BOOL:${BITTERN_WITH_SIMD}>:BITTERN_WITH_SIMD>)
set(build_info ${CMAKE_BINARY_DIR}/generated/build_info.h)
add_custom_target(bittern_build_info BYPRODUCTS ${build_info} COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUT=${build_info}
  "-DCOMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} ${CMAKE_BUILD_TYPE}" -P ${CMAKE_SOURCE_DIR}/cmake/build_info.cmake VERBATIM)
add_dependencies(bittern_objects bittern_build_info)
set_property(SOURCE ${CMAKE_SOURCE_DIR}/src/base/build.c APPEND PROPERTY INCLUDE_DIRECTORIES ${CMAKE_BINARY_DIR}/generated)

# Kernels for wider vectors are separate files, chosen at run time.
file(GLOB avx2_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/*_avx2.c ${CMAKE_SOURCE_DIR}/src/pixels/*_avx2.c)
file(GLOB avx512_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/*_avx512.c)
set_source_files_properties(${avx2_sources} PROPERTIES COMPILE_OPTIONS "${BITTERN_AVX2_FLAGS}")
set_source_files_properties(${avx512_sources} PROPERTIES COMPILE_OPTIONS "${BITTERN_AVX512_FLAGS}")

# The lanes of these loops stay in registers only where short loops are unrolled whole.
file(GLOB vector_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/vector*.c)
set_property(SOURCE ${vector_sources} APPEND PROPERTY COMPILE_OPTIONS $<$<CONFIG:Release>:-O3>)

if(BITTERN_WITH_CUDA)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)
  if(BITTERN_WITH_CUDNN)
    set(cudnn bittern_cudnn)
    list(FILTER cuda_sources EXCLUDE REGEX fused_product_none)
  else()
    set(cudnn "")
    list(FILTER cuda_sources EXCLUDE REGEX "fused_(product|graph)[.]cu")
  endif()
  add_library(bittern_cuda OBJECT ${cuda_sources})
  set_target_properties(bittern_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON)
  target_include_directories(bittern_cuda PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/cuda)
  target_compile_options(bittern_cuda PRIVATE --fmad=true -Xcompiler=-Wall,-Wextra $<$<BOOL:${BITTERN_WERROR}>:-Werror=all-warnings>)
  target_link_libraries(bittern_cuda PUBLIC CUDA::cudart CUDA::cublasLt CUDA::cusolver ${cudnn})
  target_compile_definitions(bittern_objects PUBLIC BITTERN_WITH_CUDA)
  target_link_libraries(bittern_objects PUBLIC CUDA::cudart CUDA::cublasLt CUDA::cusolver ${cudnn})
  set(cuda_objects $<TARGET_OBJECTS:bittern_cuda>)
endif()

add_library(bittern SHARED $<TARGET_OBJECTS:bittern_objects> ${cuda_objects})
target_link_libraries(bittern PUBLIC bittern_objects)
target_link_options(bittern PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/src/exports.map)
set_target_properties(bittern PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/src/exports.map)

# Fetching weights is the command's alone: programs that link the library are not given libcurl with it. Without libcurl one file says so
# in place of those that need it.
file(GLOB fetch_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/fetch/*.c)
if(BITTERN_WITH_CURL)
  list(FILTER fetch_sources EXCLUDE REGEX "/transfer_absent\\.c$")
else()
  list(FILTER fetch_sources EXCLUDE REGEX "/(address|digest|headers|transfer)\\.c$")
endif()
add_library(bittern_fetch OBJECT ${fetch_sources})
target_link_libraries(bittern_fetch PUBLIC bittern_flags)
if(BITTERN_WITH_CURL)
  target_compile_definitions(bittern_fetch PUBLIC BITTERN_WITH_CURL)
  target_link_libraries(bittern_fetch PUBLIC PkgConfig::BITTERN_PC_CURL)
endif()

# The commands link the objects themselves: one file to copy, nothing to install.
file(GLOB cli_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.c)
add_executable(bittern-cli ${cli_sources} ${cuda_objects})
set_target_properties(bittern-cli PROPERTIES OUTPUT_NAME bittern)
target_link_libraries(bittern-cli PRIVATE bittern_objects bittern_fetch)
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/benchmarks/*.c)
add_executable(bittern-bench ${bench_sources} ${cuda_objects})
target_link_libraries(bittern-bench PRIVATE bittern_objects)
