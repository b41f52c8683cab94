/* Scores as members of a JSON object. */
#include "retrieval/scores_json.h"

void bt_json_member_map(bt_json_writer *writer, const char *key, bt_map map) {
    bt_json_key(writer, key);
    bt_json_begin_object(writer);
    bt_json_member_number(writer, "papers", map.papers);
    bt_json_member_number(writer, "standard", map.standard);
    bt_json_end(writer);
}

void bt_json_member_spread(bt_json_writer *writer, const char *key, bt_spread spread) {
    bt_json_key(writer, key);
    bt_json_begin_object(writer);
    bt_json_member_number(writer, "mean", spread.mean);
    bt_json_member_number(writer, "deviation", spread.deviation);
    bt_json_end(writer);
}
