# Training and evaluation views against PIL and torchvision, bit for bit, on every device. The wanted views are made in the build folder by
# Debian's python3-pil (and python3-torchvision where it is); without PIL the tests are skipped, visibly.
set(views_dir ${CMAKE_SOURCE_DIR}/tests/views)
set(views_cases ${CMAKE_BINARY_DIR}/views)
add_test(NAME views_reference COMMAND ${views_dir}/reference.sh ${views_cases})
set_tests_properties(views_reference PROPERTIES LABELS views FIXTURES_SETUP views SKIP_RETURN_CODE 77 TIMEOUT 600)

function(views_test name)
  add_executable(test_views_${name} ${views_dir}/main_${name}.c ${views_dir}/reference_cases.c ${views_dir}/make_by_operation.c)
  target_link_libraries(test_views_${name} PRIVATE ${ARGN} bittern_objects)
  add_test(NAME views_${name} COMMAND test_views_${name} ${views_cases})
  set_tests_properties(views_${name} PROPERTIES LABELS views FIXTURES_REQUIRED views SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()
views_test(cpu)
target_sources(test_views_cpu PRIVATE ${cuda_objects})
if(TARGET bittern_cuda_host)
  views_test(cuda_host bittern_cuda_host)
endif()
add_test(NAME views_cpu_generic COMMAND test_views_cpu ${views_cases})
set_tests_properties(views_cpu_generic PROPERTIES LABELS views FIXTURES_REQUIRED views SKIP_RETURN_CODE 77 TIMEOUT 900
  ENVIRONMENT BITTERN_CPU=generic)
