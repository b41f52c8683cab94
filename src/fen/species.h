/* Species of the Fen: what they look like, where they live, what they are called, and the tree they stand on.
 *
 * Shapes and markings evolve down the tree order > family > genus > species. An order starts from a body plan
 * (archetype.c); at each branch shapes take a normal step, and each marking has a liability that takes a normal step
 * too: the marking shows where it is above zero (the threshold model of quantitative genetics, Wright 1934). Pigments
 * are kept or drawn anew. So relatives look alike, and a trait may come back in a distant branch. A species that is too
 * near another in shape and markings is drawn again: colours do not count for that distance, because light and water
 * change them.
 */
#ifndef BITTERN_FEN_SPECIES_H
#define BITTERN_FEN_SPECIES_H

#include "fen/dice.h"
#include "fen/pigment.h"

/** Shapes, in units of the body's length (breast to root of the tail) where they are lengths. */
typedef enum bt_fen_shape {
    BT_FEN_LENGTH, /**< body length in centimetres, natural logarithm */
    BT_FEN_PLUMP,  /**< depth of the body */
    BT_FEN_NECK,
    BT_FEN_NECK_WIDTH,
    BT_FEN_HEAD, /**< diameter */
    BT_FEN_LEG,
    BT_FEN_BILL,
    BT_FEN_BILL_DEPTH,
    BT_FEN_BILL_CURVE, /**< turn of its axis, radians; positive is down */
    BT_FEN_BILL_HOOK,  /**< 0..1 */
    BT_FEN_BILL_SPOON, /**< 0..1 broadening of the tip */
    BT_FEN_CREST,      /**< shows above 0.12 */
    BT_FEN_TAIL,
    BT_FEN_TAIL_FORK, /**< -1 wedge .. 0 square .. 1 forked */
    BT_FEN_WING,      /**< how far the folded wing reaches beyond the root of the tail */
    BT_FEN_PITCH,     /**< of the body when standing, radians; positive is upright */
    BT_FEN_SHAPES
} bt_fen_shape;

typedef enum bt_fen_mark {
    BT_FEN_CAP,
    BT_FEN_HOOD,
    BT_FEN_MASK,
    BT_FEN_EYE_STRIPE,
    BT_FEN_BROW,
    BT_FEN_MALAR,
    BT_FEN_THROAT,
    BT_FEN_COLLAR,
    BT_FEN_BREAST_BAND,
    BT_FEN_STREAKS,
    BT_FEN_SPOTS,
    BT_FEN_BARS,
    BT_FEN_BELLY,
    BT_FEN_RUMP,
    BT_FEN_WING_BARS,
    BT_FEN_WING_PATCH,
    BT_FEN_SCALES, /**< pale edges of back and wing feathers */
    BT_FEN_TAIL_BAND,
    BT_FEN_EYE_RING,
    BT_FEN_MARKS
} bt_fen_mark;

/** What has a colour of its own. */
typedef enum bt_fen_slot {
    BT_FEN_UPPER,  /**< back and wings */
    BT_FEN_UNDER,  /**< breast and flanks */
    BT_FEN_ACCENT, /**< cap, hood, belly */
    BT_FEN_DARK,   /**< stripes, streaks, bands */
    BT_FEN_LIGHT,  /**< brow, throat, wing bars, edges */
    BT_FEN_FLIGHT, /**< flight feathers and tail */
    BT_FEN_BILL_COLOUR,
    BT_FEN_LEG_COLOUR,
    BT_FEN_EYE_COLOUR,
    BT_FEN_SLOTS
} bt_fen_slot;

typedef enum bt_fen_habitat { BT_FEN_WATER, BT_FEN_MUD, BT_FEN_REED, BT_FEN_AIR, BT_FEN_HABITATS } bt_fen_habitat;

typedef struct bt_fen_traits {
    int plan; /**< row of the table of body plans */
    double shape[BT_FEN_SHAPES];
    double mark[BT_FEN_MARKS]; /**< liabilities: the marking shows above 0, stronger with more */
    int pigment[BT_FEN_SLOTS];
    bt_fen_habitat habitat;
} bt_fen_traits;

/** A body plan that an order starts from. */
typedef struct bt_fen_body_plan {
    const char *kind; /**< "heron": the noun of captions */
    double shape[BT_FEN_SHAPES];
    double habitat[BT_FEN_HABITATS]; /**< weights */
} bt_fen_body_plan;

enum { BT_FEN_BODY_PLANS = 12, BT_FEN_NAME_BYTES = 48 };
extern const bt_fen_body_plan bt_fen_body_plans[BT_FEN_BODY_PLANS];

typedef struct bt_fen_species {
    bt_fen_traits traits;
    int order, family, genus; /**< numbers within the tree, ascending with the species */
    char order_name[BT_FEN_NAME_BYTES], family_name[BT_FEN_NAME_BYTES], genus_name[BT_FEN_NAME_BYTES];
    char epithet[BT_FEN_NAME_BYTES];         /**< second word of the binomial */
    char common_name[2 * BT_FEN_NAME_BYTES]; /**< "Rufous-capped Sedgehen" */
    char slug[2 * BT_FEN_NAME_BYTES];        /**< folder name: the binomial, lower case, '_' between */
} bt_fen_species;

/** Draws `count` species in the tree's order into species (count), names included. Names, slugs and looks are unique.
 *  BT_ERR_MEMORY. */
bt_status bt_fen_evolve(uint64_t seed, int count, bt_fen_species *species) BT_MUST_CHECK;

/** Names of all species (count), whose traits and numbers are set. BT_ERR_MEMORY. */
bt_status bt_fen_name_all(uint64_t seed, int count, bt_fen_species *species) BT_MUST_CHECK;

static inline bool bt_fen_shows(const bt_fen_traits *traits, bt_fen_mark mark) {
    return traits->mark[mark] > 0;
}

/** How different two birds look apart from colour: shapes in units of their spread between relatives, and markings that
 * only one of them shows. */
double bt_fen_distance(const bt_fen_traits *a, const bt_fen_traits *b);

/** What a species may lack before another counts as its double. Species that are drawn keep at least this distance
 * unless hundreds of tries fail, which needs worlds of several hundred species. */
#define BT_FEN_LEAST_DISTANCE 3.0

#endif
