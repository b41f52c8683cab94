# Scripts of tools/ that run where no test does: what needs a GPU, walked with programs that only pretend.
foreach(subject gpu_check gpu_table)
  add_test(NAME tools_${subject} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/tools/${subject}.sh ${CMAKE_SOURCE_DIR})
  set_tests_properties(tools_${subject} PROPERTIES LABELS tools TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
