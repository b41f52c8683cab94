# The command as a user has it: arguments, wrong input, the plan of a step, interruption, resume.
if(BITTERN_SANITIZE) # they look at each piece of code once more, and make it slow: fewer repetitions of the same
  set(less_of_resume 6)
  set(less_of_recipes few)
endif()
if(BITTERN_WITH_YAML)
  foreach(subject
          bad_input
          embeddings
          eval
          help
          in_step
          pack
          pictures
          plan
          quickstart
          recipes
          resume
          slurm
          start
          terminal
          train)
    add_test(NAME cli_${subject} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/cli/${subject}.sh $<TARGET_FILE:bittern-cli> ${CMAKE_SOURCE_DIR} ${less_of_${subject}})
    set_tests_properties(cli_${subject} PROPERTIES LABELS cli TIMEOUT 1800 SKIP_RETURN_CODE 77)
  endforeach()
  set_tests_properties(cli_slurm PROPERTIES TIMEOUT 240)
  set_tests_properties(cli_resume PROPERTIES LABELS "cli;resume" TIMEOUT 3600)
endif()
foreach(subject hash onnx) # these need no YAML
  add_test(NAME cli_${subject} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/cli/${subject}.sh $<TARGET_FILE:bittern-cli>)
  set_tests_properties(cli_${subject} PROPERTIES LABELS cli TIMEOUT 1800 SKIP_RETURN_CODE 77)
endforeach()
