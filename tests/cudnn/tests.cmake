# Whether cuDNN has engines for the products with a GELU, asked without a GPU. The fake driver lies in a folder of its own, which only this
# test looks into.
if(NOT BITTERN_WITH_CUDNN OR NOT CMAKE_CXX_COMPILER)
  return()
endif()
set(cudnn_dir ${CMAKE_SOURCE_DIR}/tests/cudnn)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/cudnn/fused_graph.cpp CONTENT "#include \"${CMAKE_SOURCE_DIR}/cuda/fused_graph.cu\"\n")

add_library(fake_driver SHARED ${cudnn_dir}/fake_driver.c)
set_target_properties(fake_driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cudnn)

add_executable(test_cudnn_engines ${cudnn_dir}/engines.cpp ${CMAKE_BINARY_DIR}/cudnn/fused_graph.cpp)
target_compile_features(test_cudnn_engines PRIVATE cxx_std_17)
target_compile_options(test_cudnn_engines PRIVATE -Wall -Wextra -Wshadow $<$<BOOL:${BITTERN_WERROR}>:-Werror>)
target_include_directories(test_cudnn_engines PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/cuda)
target_link_libraries(test_cudnn_engines PRIVATE bittern_cudnn CUDA::cudart)
add_dependencies(test_cudnn_engines fake_driver)
add_test(NAME cudnn_engines COMMAND test_cudnn_engines)
set_tests_properties(cudnn_engines PROPERTIES LABELS cuda_host TIMEOUT 300 ENVIRONMENT_MODIFICATION "LD_LIBRARY_PATH=path_list_prepend:${CMAKE_BINARY_DIR}/cudnn")
