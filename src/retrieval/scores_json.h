/* Scores as members of a JSON object: one form for `bittern hash` and for the evaluation of a run. */
#ifndef BITTERN_RETRIEVAL_SCORES_JSON_H
#define BITTERN_RETRIEVAL_SCORES_JSON_H

#include "formats/json.h"
#include "retrieval/training_free.h"

/** "key": {"papers": ..., "standard": ...} */
void bt_json_member_map(bt_json_writer *writer, const char *key, bt_map map);

/** "key": {"mean": ..., "deviation": ...} */
void bt_json_member_spread(bt_json_writer *writer, const char *key, bt_spread spread);

#endif
