# The command as a user has it: arguments, wrong input, the plan of a step, interruption, resume.
if(BITTERN_WITH_YAML)
  foreach(subject bad_input help plan resume)
    add_test(NAME cli_${subject} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/cli/${subject}.sh $<TARGET_FILE:bittern-cli> ${CMAKE_SOURCE_DIR})
    set_tests_properties(cli_${subject} PROPERTIES LABELS "cli;resume" TIMEOUT 900)
  endforeach()
  set_tests_properties(cli_bad_input cli_help cli_plan PROPERTIES LABELS cli)
  set_tests_properties(cli_plan PROPERTIES SKIP_RETURN_CODE 77)
endif()
