/* Traits down the tree. */
#include "fen/species.h"

#include "base/memory.h"

#include <string.h>

/* Deviation of one step of each shape at full rate. Lengths step in proportion to what the body plan has (see
 * step_shape). */
static const double spread[BT_FEN_SHAPES] = {
    [BT_FEN_LENGTH] = 0.16,     [BT_FEN_PLUMP] = 0.10,     [BT_FEN_NECK] = 0.22,       [BT_FEN_NECK_WIDTH] = 0.14,
    [BT_FEN_HEAD] = 0.09,       [BT_FEN_LEG] = 0.22,       [BT_FEN_BILL] = 0.26,       [BT_FEN_BILL_DEPTH] = 0.20,
    [BT_FEN_BILL_CURVE] = 0.16, [BT_FEN_BILL_HOOK] = 0.10, [BT_FEN_BILL_SPOON] = 0.10, [BT_FEN_CREST] = 0.30,
    [BT_FEN_TAIL] = 0.30,       [BT_FEN_TAIL_FORK] = 0.35, [BT_FEN_WING] = 0.04,       [BT_FEN_PITCH] = 0.07,
};
static const double least[BT_FEN_SHAPES] = {
    [BT_FEN_LENGTH] = 1.9,      [BT_FEN_PLUMP] = 0.34, [BT_FEN_NECK] = 0.0,     [BT_FEN_NECK_WIDTH] = 0.09,
    [BT_FEN_HEAD] = 0.14,       [BT_FEN_LEG] = 0.07,   [BT_FEN_BILL] = 0.07,    [BT_FEN_BILL_DEPTH] = 0.03,
    [BT_FEN_BILL_CURVE] = -0.6, [BT_FEN_TAIL] = 0.04,  [BT_FEN_TAIL_FORK] = -1, [BT_FEN_PITCH] = -0.05,
};
static const double most[BT_FEN_SHAPES] = {
    [BT_FEN_LENGTH] = 4.3,     [BT_FEN_PLUMP] = 0.66,  [BT_FEN_NECK] = 1.25,    [BT_FEN_NECK_WIDTH] = 0.42,
    [BT_FEN_HEAD] = 0.46,      [BT_FEN_LEG] = 1.05,    [BT_FEN_BILL] = 0.72,    [BT_FEN_BILL_DEPTH] = 0.16,
    [BT_FEN_BILL_CURVE] = 1.2, [BT_FEN_BILL_HOOK] = 1, [BT_FEN_BILL_SPOON] = 1, [BT_FEN_CREST] = 1,
    [BT_FEN_TAIL] = 1.1,       [BT_FEN_TAIL_FORK] = 1, [BT_FEN_WING] = 0.5,     [BT_FEN_PITCH] = 0.85,
};

/* Weights of pigments for each slot. Browns, greys and whites are common, strong colours rare. */
static const double pigment_weights[BT_FEN_SLOTS][BT_FEN_PIGMENTS] = {
    /*                     blk soo sla ash prl wht crm buf san och ruf che umb oli mos bot tea cob cri ora yel ros mar
     */
    [BT_FEN_UPPER] = {3, 4, 4, 4, 2, 1, 0, 1, 4, 2, 3, 4, 5, 4, 3, 2, 2, 2, 0, 0, 0, 0, 2},
    [BT_FEN_UNDER] = {1, 1, 1, 2, 3, 7, 5, 5, 2, 2, 3, 1, 1, 1, 1, 0, 0, 0, 0, 2, 3, 2, 0},
    [BT_FEN_ACCENT] = {4, 2, 2, 1, 1, 4, 2, 1, 0, 2, 4, 4, 0, 0, 1, 3, 2, 3, 4, 3, 3, 1, 2},
    [BT_FEN_DARK] = {6, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1},
    [BT_FEN_LIGHT] = {0, 0, 0, 0, 1, 7, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0},
    [BT_FEN_FLIGHT] = {5, 6, 4, 2, 0, 0, 0, 0, 1, 0, 0, 2, 4, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0},
    [BT_FEN_BILL_COLOUR] = {6, 3, 3, 0, 0, 0, 1, 0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 3, 5, 4, 1, 0},
    [BT_FEN_LEG_COLOUR] = {4, 2, 3, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 2, 1, 0, 1, 0, 3, 4, 3, 3, 0},
    [BT_FEN_EYE_COLOUR] = {9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0},
};

/* At the root: how likely a marking is, as the mean of its liability (-1: about one in six). */
static const double mark_mean[BT_FEN_MARKS] = {
    [BT_FEN_CAP] = -0.5,         [BT_FEN_HOOD] = -0.9,      [BT_FEN_MASK] = -0.9,      [BT_FEN_EYE_STRIPE] = -0.4,
    [BT_FEN_BROW] = -0.5,        [BT_FEN_MALAR] = -0.9,     [BT_FEN_THROAT] = -0.4,    [BT_FEN_COLLAR] = -0.9,
    [BT_FEN_BREAST_BAND] = -0.8, [BT_FEN_STREAKS] = -0.6,   [BT_FEN_SPOTS] = -1.0,     [BT_FEN_BARS] = -0.8,
    [BT_FEN_BELLY] = -0.4,       [BT_FEN_RUMP] = -0.6,      [BT_FEN_WING_BARS] = -0.3, [BT_FEN_WING_PATCH] = -0.6,
    [BT_FEN_SCALES] = -0.4,      [BT_FEN_TAIL_BAND] = -0.4, [BT_FEN_EYE_RING] = -0.7,
};

/* How much each marking counts when two birds are told apart: small ones little. */
static const double mark_weight[BT_FEN_MARKS] = {
    [BT_FEN_CAP] = 1,           [BT_FEN_HOOD] = 1.4,      [BT_FEN_MASK] = 1,       [BT_FEN_EYE_STRIPE] = 0.7,
    [BT_FEN_BROW] = 0.7,        [BT_FEN_MALAR] = 0.5,     [BT_FEN_THROAT] = 0.9,   [BT_FEN_COLLAR] = 0.9,
    [BT_FEN_BREAST_BAND] = 1.2, [BT_FEN_STREAKS] = 1,     [BT_FEN_SPOTS] = 1,      [BT_FEN_BARS] = 1.1,
    [BT_FEN_BELLY] = 1,         [BT_FEN_RUMP] = 0.6,      [BT_FEN_WING_BARS] = 1,  [BT_FEN_WING_PATCH] = 1,
    [BT_FEN_SCALES] = 0.8,      [BT_FEN_TAIL_BAND] = 0.6, [BT_FEN_EYE_RING] = 0.3,
};

/* Lengths step by a share of their size, so that a wren's leg does not gain a heron's step; angles and degrees step as
 * they are. */
static double step_size(bt_fen_shape k, double value) {
    bool by_share = k == BT_FEN_PLUMP || k == BT_FEN_NECK_WIDTH || k == BT_FEN_HEAD || k == BT_FEN_BILL ||
                    k == BT_FEN_BILL_DEPTH || k == BT_FEN_LEG || k == BT_FEN_TAIL || k == BT_FEN_NECK;
    return by_share ? spread[k] * fmax(value, 0.1) : spread[k];
}

double bt_fen_distance(const bt_fen_traits *a, const bt_fen_traits *b) {
    static const double weight[BT_FEN_SHAPES] = {
        [BT_FEN_PLUMP] = 0.5, [BT_FEN_NECK] = 0.7,       [BT_FEN_HEAD] = 0.5,       [BT_FEN_LEG] = 0.6,
        [BT_FEN_BILL] = 0.7,  [BT_FEN_BILL_DEPTH] = 0.3, [BT_FEN_BILL_CURVE] = 0.5, [BT_FEN_BILL_SPOON] = 0.4,
        [BT_FEN_CREST] = 0.7, [BT_FEN_TAIL] = 0.5,       [BT_FEN_TAIL_FORK] = 0.3};
    double sum = 0;
    for (int k = 0; k < BT_FEN_SHAPES; k++)
        sum +=
            weight[k] *
            fmin(3, fabs(a->shape[k] - b->shape[k]) / step_size((bt_fen_shape)k, 0.5 * (a->shape[k] + b->shape[k]))) /
            2;
    for (int m = 0; m < BT_FEN_MARKS; m++)
        if ((a->mark[m] > 0) != (b->mark[m] > 0)) sum += mark_weight[m];
    return sum;
}

static int draw_pigment(bt_fen_dice *dice, int slot) {
    return bt_fen_weighted(dice, pigment_weights[slot], BT_FEN_PIGMENTS);
}

static bool same_light(int a, int b) {
    bt_fen_rgb x = bt_fen_srgb(bt_fen_pigments[a].srgb), y = bt_fen_srgb(bt_fen_pigments[b].srgb);
    return fabs(x.r - y.r) + fabs(x.g - y.g) + fabs(x.b - y.b) < 0.15;
}

/* Markings must be seen against what they lie on. */
static void mend_pigments(bt_fen_dice *dice, bt_fen_traits *t) {
    for (int i = 0; i < 20 && same_light(t->pigment[BT_FEN_DARK], t->pigment[BT_FEN_UNDER]); i++)
        t->pigment[BT_FEN_DARK] = draw_pigment(dice, BT_FEN_DARK);
    for (int i = 0; i < 20 && (same_light(t->pigment[BT_FEN_ACCENT], t->pigment[BT_FEN_UPPER]) ||
                               same_light(t->pigment[BT_FEN_ACCENT], t->pigment[BT_FEN_UNDER]));
         i++)
        t->pigment[BT_FEN_ACCENT] = draw_pigment(dice, BT_FEN_ACCENT);
    for (int i = 0; i < 20 && same_light(t->pigment[BT_FEN_LIGHT], t->pigment[BT_FEN_UPPER]); i++)
        t->pigment[BT_FEN_LIGHT] = draw_pigment(dice, BT_FEN_LIGHT);
    if (same_light(t->pigment[BT_FEN_DARK], t->pigment[BT_FEN_UNDER]))
        t->pigment[BT_FEN_DARK] = BT_FEN_WHITE; /* pale on dark */
}

/* Markings that hide each other: the stronger stays. */
static void mend_marks(bt_fen_traits *t) {
    static const bt_fen_mark rivals[][2] = {
        {BT_FEN_CAP, BT_FEN_HOOD},     {BT_FEN_STREAKS, BT_FEN_SPOTS}, {BT_FEN_SPOTS, BT_FEN_BARS},
        {BT_FEN_STREAKS, BT_FEN_BARS}, {BT_FEN_MASK, BT_FEN_HOOD},     {BT_FEN_MASK, BT_FEN_EYE_STRIPE},
        {BT_FEN_HOOD, BT_FEN_THROAT},  {BT_FEN_HOOD, BT_FEN_MALAR},    {BT_FEN_COLLAR, BT_FEN_BREAST_BAND}};
    for (size_t i = 0; i < sizeof rivals / sizeof rivals[0]; i++) {
        double *a = &t->mark[rivals[i][0]], *b = &t->mark[rivals[i][1]];
        if (*a > 0 && *b > 0) *(*a < *b ? a : b) *= -0.5;
    }
}

/* One branch: shapes and liabilities step at `rate`, each pigment is drawn anew with probability `recolour`. */
static bt_fen_traits branch(bt_fen_dice *dice, const bt_fen_traits *parent, double rate, double recolour) {
    bt_fen_traits t = *parent;
    for (int k = 0; k < BT_FEN_SHAPES; k++)
        t.shape[k] = bt_fen_clamp(t.shape[k] + rate * step_size((bt_fen_shape)k, t.shape[k]) * bt_fen_normal(dice),
                                  least[k], most[k]);
    t.shape[BT_FEN_NECK_WIDTH] = fmin(t.shape[BT_FEN_NECK_WIDTH], 0.9 * t.shape[BT_FEN_HEAD]);
    for (int m = 0; m < BT_FEN_MARKS; m++)
        t.mark[m] = bt_fen_clamp(0.9 * t.mark[m] + rate * bt_fen_normal(dice), -2, 2);
    for (int s = 0; s < BT_FEN_SLOTS; s++)
        if (bt_fen_chance(dice, recolour)) t.pigment[s] = draw_pigment(dice, s);
    if (bt_fen_chance(dice, 0.5 * recolour))
        t.habitat = (bt_fen_habitat)bt_fen_weighted(dice, bt_fen_body_plans[t.plan].habitat, BT_FEN_HABITATS);
    mend_pigments(dice, &t);
    mend_marks(&t);
    return t;
}

static bt_fen_traits root_of(bt_fen_dice *dice, int plan) {
    bt_fen_traits t = {.plan = plan};
    memcpy(t.shape, bt_fen_body_plans[plan].shape, sizeof t.shape);
    for (int m = 0; m < BT_FEN_MARKS; m++) t.mark[m] = mark_mean[m];
    for (int s = 0; s < BT_FEN_SLOTS; s++) t.pigment[s] = draw_pigment(dice, s);
    t.habitat = (bt_fen_habitat)bt_fen_weighted(dice, bt_fen_body_plans[plan].habitat, BT_FEN_HABITATS);
    return branch(dice, &t, 0.6, 0);
}

/* How many species each of `parts` branches gets: at least one, uneven as in nature. sizes (parts). */
static void share(bt_fen_dice *dice, int count, int parts, int *sizes) {
    for (int i = 0; i < parts; i++) sizes[i] = 1;
    for (int left = count - parts; left > 0; left--) {
        /* Twice the smaller of two draws' chances: sizes spread, none takes all. */
        int a = bt_fen_index(dice, parts), b = bt_fen_index(dice, parts);
        sizes[sizes[a] < sizes[b] ? a : b]++;
    }
}

/* Number of branches that hold `count` species at about `each` a branch. */
static int parts_of(int count, double each) {
    int parts = (int)(count / each + 0.5);
    return parts < 1 ? 1 : parts > count ? count : parts;
}

/* A species of its own: drawn until it is far enough from all before it; the best of the tries if none is. */
static bt_fen_traits distinct(bt_fen_dice *dice, const bt_fen_traits *genus, const bt_fen_species *before, int count) {
    bt_fen_traits best = *genus;
    double best_distance = -1;
    for (int attempt = 0; attempt < 200 && best_distance < BT_FEN_LEAST_DISTANCE; attempt++) {
        bt_fen_traits t = branch(dice, genus, 0.65 + 0.004 * attempt, 0.4);
        double nearest = 1e9;
        for (int i = 0; i < count && nearest > best_distance; i++)
            nearest = fmin(nearest, bt_fen_distance(&t, &before[i].traits));
        if (nearest > best_distance) best = t, best_distance = nearest;
    }
    return best;
}

typedef struct growth {
    bt_fen_dice dice;
    bt_fen_species *species; /* (count) */
    int *sizes;              /* (3 * count) one row a rank: branches below one node */
    int done, count, families, genera;
} growth;

static void grow_genus(growth *g, const bt_fen_traits *family, int order, int size) {
    bt_fen_traits genus = branch(&g->dice, family, 0.7, 0.45);
    for (int i = 0; i < size; i++) {
        bt_fen_species *s = &g->species[g->done];
        *s = (bt_fen_species){.order = order, .family = g->families, .genus = g->genera};
        s->traits = distinct(&g->dice, &genus, g->species, g->done);
        g->done++;
    }
    g->genera++;
}

static void grow_family(growth *g, const bt_fen_traits *order_traits, int order, int size) {
    bt_fen_traits family = branch(&g->dice, order_traits, 0.7, 0.5);
    int *sizes = g->sizes + 2 * g->count, genera = parts_of(size, 2.6);
    share(&g->dice, size, genera, sizes);
    for (int i = 0; i < genera; i++) grow_genus(g, &family, order, sizes[i]);
    g->families++;
}

bt_status bt_fen_evolve(uint64_t seed, int count, bt_fen_species *species) {
    BT_ASSERT(count > 0);
    growth g = {.dice = bt_fen_dice_new(seed, BT_FEN_STREAM_TREE, 0, 0, 0), .species = species, .count = count};
    g.sizes = bt_memory_alloc((size_t)count * 3, sizeof *g.sizes);
    if (!g.sizes) return BT_ERR_MEMORY;
    int plans[BT_FEN_BODY_PLANS], orders = parts_of(count, 7);
    for (int i = 0; i < BT_FEN_BODY_PLANS; i++) plans[i] = i;
    share(&g.dice, count, orders, g.sizes);
    for (int o = 0; o < orders; o++) {
        /* A shuffle that goes on: no plan comes again before all have come. */
        int k = o % BT_FEN_BODY_PLANS, pick = k + bt_fen_index(&g.dice, BT_FEN_BODY_PLANS - k), plan = plans[pick];
        plans[pick] = plans[k];
        plans[k] = plan;
        bt_fen_traits order = root_of(&g.dice, plan);
        int *sizes = g.sizes + count, families = parts_of(g.sizes[o], 4.5);
        share(&g.dice, g.sizes[o], families, sizes);
        for (int f = 0; f < families; f++) grow_family(&g, &order, o, sizes[f]);
    }
    BT_ASSERT(g.done == count);
    bt_memory_free(g.sizes);
    return bt_fen_name_all(seed, count, species);
}
