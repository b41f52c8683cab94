/* Colours and type of all charts. */
#ifndef BITTERN_REPORT_CHART_STYLE_H
#define BITTERN_REPORT_CHART_STYLE_H

#include "report/chart.h"

#define BT_PALETTE 7
static const uint32_t bt_palette[BT_PALETTE] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x555555};

#define BT_INK 0x222222
#define BT_GREY 0x666666
#define BT_GRID ((bt_paint){.color = 0xe4e4e4, .width = 1, .opacity = 1})
#define BT_AXIS ((bt_paint){.color = 0x999999, .width = 1, .opacity = 1})
#define BT_LABEL(where) ((bt_text_style){.size = 12, .color = BT_GREY, .anchor = (where), .upright = true})
#define BT_TITLE ((bt_text_style){.size = 14, .color = BT_INK, .bold = true, .upright = true})

#endif
