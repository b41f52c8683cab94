/* Captions. */
#include "fen/caption.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PHRASE = 96, MARKS_MAX = 3 };

static const char *const posture_names[BT_FEN_POSTURES] = {"standing", "wading", "swimming",
                                                           "perched",  "flying", "feeding"};

const char *bt_fen_posture_name(bt_fen_posture posture) {
    return posture_names[posture];
}

static const char *pick(bt_fen_dice *d, const char *const *words, int count) {
    return words[bt_fen_index(d, count)];
}
#define PICK(dice, ...)                                                                                                \
    pick(dice, (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static const char *colour(const bt_fen_traits *t, bt_fen_slot slot) {
    return bt_fen_pigments[t->pigment[slot]].name;
}

static const char *article(const char *word) {
    return strchr("aeiouAEIOU", word[0]) ? "an" : "a";
}

/* "a rufous cap" */
static void of_colour(char *out, const bt_fen_traits *t, bt_fen_slot slot, const char *what) {
    snprintf(out, PHRASE, "%s %s %s", article(colour(t, slot)), colour(t, slot), what);
}

/* What a marking is called; false if it cannot be seen in this posture. */
static bool mark_phrase(const bt_fen_traits *t, bt_fen_mark m, bt_fen_posture posture, char *out) {
    bool afloat = posture == BT_FEN_SWIMMING, aloft = posture == BT_FEN_FLYING;
    switch (m) {
    case BT_FEN_CAP:
        of_colour(out, t, BT_FEN_ACCENT, "cap");
        return true;
    case BT_FEN_HOOD:
        of_colour(out, t, BT_FEN_ACCENT, "hood");
        return true;
    case BT_FEN_MASK:
        of_colour(out, t, BT_FEN_DARK, "mask");
        return true;
    case BT_FEN_EYE_STRIPE:
        of_colour(out, t, BT_FEN_DARK, "stripe through the eye");
        return true;
    case BT_FEN_BROW:
        of_colour(out, t, BT_FEN_LIGHT, "brow");
        return true;
    case BT_FEN_THROAT:
        of_colour(out, t, BT_FEN_LIGHT, "throat");
        return true;
    case BT_FEN_BREAST_BAND:
        of_colour(out, t, BT_FEN_DARK, "band across the breast");
        return true;
    case BT_FEN_STREAKS:
        snprintf(out, PHRASE, "a streaked breast");
        return true;
    case BT_FEN_SPOTS:
        snprintf(out, PHRASE, "spotted underparts");
        return !afloat;
    case BT_FEN_BARS:
        snprintf(out, PHRASE, "barred flanks");
        return true;
    case BT_FEN_BELLY:
        of_colour(out, t, BT_FEN_ACCENT, "belly");
        return !afloat;
    case BT_FEN_WING_BARS:
        snprintf(out, PHRASE, "%s wing bars", colour(t, BT_FEN_LIGHT));
        return true;
    case BT_FEN_WING_PATCH:
        of_colour(out, t, BT_FEN_ACCENT, "patch in the wing");
        return true;
    case BT_FEN_SCALES:
        snprintf(out, PHRASE, "%s-edged feathers", colour(t, BT_FEN_LIGHT));
        return !aloft;
    case BT_FEN_TAIL_BAND:
        of_colour(out, t, BT_FEN_LIGHT, "tip to the tail");
        return t->shape[BT_FEN_TAIL] > 0.25;
    case BT_FEN_EYE_RING:
        of_colour(out, t, BT_FEN_LIGHT, "ring around the eye");
        return true;
    default:
        return false; /* small marks are left to the taxonomy's table */
    }
}

static void bill_phrase(const bt_fen_traits *t, char *out) {
    const double *s = t->shape;
    const char *form = s[BT_FEN_BILL_SPOON] > 0.6   ? "spoon-shaped"
                       : s[BT_FEN_BILL_HOOK] > 0.6  ? "hooked"
                       : s[BT_FEN_BILL_CURVE] > 0.4 ? "down-curved"
                       : s[BT_FEN_BILL] > 0.35      ? "long"
                       : s[BT_FEN_BILL] < 0.16      ? "short"
                                                    : "straight";
    snprintf(out, PHRASE, "%s %s %s bill", article(form), form, colour(t, BT_FEN_BILL_COLOUR));
}

/* Draws up to MARKS_MAX phrases of what is seen into out, joined: "a rufous cap, barred flanks and orange legs". */
static void marks(bt_fen_dice *d, const bt_fen_traits *t, bt_fen_posture posture, char *out, size_t bytes) {
    char all[BT_FEN_MARKS + 3][PHRASE];
    int count = 0;
    for (int m = 0; m < BT_FEN_MARKS; m++)
        if (bt_fen_shows(t, (bt_fen_mark)m) && mark_phrase(t, (bt_fen_mark)m, posture, all[count])) count++;
    bill_phrase(t, all[count++]);
    if (posture != BT_FEN_SWIMMING && posture != BT_FEN_FLYING)
        snprintf(all[count++], PHRASE, "%s legs", colour(t, BT_FEN_LEG_COLOUR));
    if (t->shape[BT_FEN_CREST] > 0.3) snprintf(all[count++], PHRASE, "a crest");
    int wanted = 2 + bt_fen_index(d, MARKS_MAX - 1);
    if (wanted > count) wanted = count;
    size_t at = 0;
    for (int i = 0; i < wanted; i++) {
        int k = i + bt_fen_index(d, count - i);
        const char *joint = i == 0 ? "" : i == wanted - 1 ? " and " : ", ";
        int written = snprintf(out + at, bytes - at, "%s%s", joint, all[k]);
        at = at + (size_t)written < bytes ? at + (size_t)written : bytes - 1;
        if (k != i) memcpy(all[k], all[i], PHRASE);
    }
}

/* What it does and where: "swimming on calm water"; and in `aside` what else is seen of it: ", facing left". */
static void doing(bt_fen_dice *d, const bt_fen_scene *s, const bt_fen_picture *p, char *out, char *aside) {
    const char *act = "", *place = "";
    switch (p->pose.posture) {
    case BT_FEN_STANDING:
        act = PICK(d, "standing", "resting", p->pose.stretch > 0.6 ? "standing alert" : "standing hunched");
        place = PICK(d, "on a mudbank", "at the water's edge", "on bare mud");
        break;
    case BT_FEN_WADING:
        act = PICK(d, "wading", "standing");
        place = PICK(d, "in the shallows", "in shallow water");
        break;
    case BT_FEN_SWIMMING:
        act = PICK(d, "swimming", "drifting", "floating");
        place =
            s->ripple < 0.5 ? PICK(d, "on calm water", "on still water") : PICK(d, "on rippled water", "on open water");
        break;
    case BT_FEN_PERCHED:
        act = PICK(d, "perched", "sitting", "clinging");
        place = PICK(d, "on a reed stem", "on a bent reed", "among the reeds");
        break;
    case BT_FEN_FLYING:
        act = PICK(d, "flying", p->pose.stroke > 0 ? "flying with raised wings" : "flying with lowered wings");
        place = PICK(d, "over the reeds", "over the fen");
        break;
    default:
        act = PICK(d, "feeding", "probing", "searching for food");
        place = PICK(d, "on the mud", "with its head down at the water's edge");
        break;
    }
    const char *facing = bt_fen_chance(d, 0.3) ? (p->pose.facing > 0 ? ", facing right" : ", facing left") : "";
    const char *hidden = p->view.front_reeds >= 3 ? PICK(d, ", partly behind reeds", ", seen through reeds") : "";
    snprintf(out, PHRASE, "%s %s", act, place);
    snprintf(aside, PHRASE, "%s%s", facing, hidden);
}

static const char *light(bt_fen_dice *d, const bt_fen_scene *s) {
    if (s->rain > 0) return PICK(d, "in the rain", "in light rain", "on a wet day");
    switch (s->hour) {
    case BT_FEN_DAWN:
        return PICK(d, "at dawn", "in the first light of day");
    case BT_FEN_MORNING:
        return PICK(d, "in morning light", "on a bright morning");
    case BT_FEN_CLEAR:
        return PICK(d, "under a clear sky", "in bright sun");
    case BT_FEN_OVERCAST:
        return PICK(d, "under a grey sky", "on an overcast day");
    case BT_FEN_GOLDEN:
        return PICK(d, "in golden evening light", "in low sun");
    case BT_FEN_DUSK:
        return PICK(d, "at dusk", "in the last light");
    default:
        return PICK(d, "in mist", "on a misty morning");
    }
}

void bt_fen_caption(const bt_fen_world *w, const bt_fen_picture *p, bt_text *out) {
    const bt_fen_species *sp = &w->species[p->species];
    const bt_fen_traits *t = &sp->traits;
    bt_fen_dice d = bt_fen_dice_new(w->seed, BT_FEN_STREAM_CAPTION, p->species, p->individual, p->image);
    bt_fen_scene s = bt_fen_scene_draw(w->seed, p->scene);
    char seen[4 * PHRASE], act[PHRASE], aside[PHRASE], lit[PHRASE];
    marks(&d, t, p->pose.posture, seen, sizeof seen);
    doing(&d, &s, p, act, aside);
    snprintf(lit, sizeof lit, "%s", light(&d, &s));
    const char *kind = bt_fen_body_plans[t->plan].kind, *name = sp->common_name, *back = colour(t, BT_FEN_UPPER);
    switch (bt_fen_index(&d, 4)) {
    case 0:
        bt_text_append(out, "%s %s with %s, %s %s%s.", article(name)[1] ? "An" : "A", name, seen, act, lit, aside);
        break;
    case 1:
        lit[0] = (char)toupper((unsigned char)lit[0]);
        bt_text_append(out, "%s, %s %s %s%s; it has %s.", lit, article(name), name, act, aside, seen);
        break;
    case 2:
        bt_text_append(out, "%s %s-backed %s with %s, %s %s%s.", article(back)[1] ? "An" : "A", back, kind, seen, act,
                       lit, aside);
        break;
    default:
        bt_text_append(out, "%s (%s %s) %s %s%s: %s.", name, sp->genus_name, sp->epithet, act, lit, aside, seen);
        break;
    }
}
