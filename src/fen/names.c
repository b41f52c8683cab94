/* Names of species: binomials of Greek and Latin roots, and common names, both after the bird's own traits where they
 * can be.
 *
 * A genus is two roots ("Limnolestes"); its gender follows the ending, and the epithet agrees with it (cristatus,
 * cristata, cristatum). Family and order are named after their first genus, as the zoological code has it (-idae,
 * -iformes on the stem). */
#include "fen/species.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const fronts[] = {"Limno",  "Helo",   "Phragmo", "Typho", "Calamo", "Schoeno", "Junco",   "Nephelo",
                                     "Lepto",  "Platy",  "Xantho",  "Leuco", "Melano", "Argyro",  "Chloro",  "Poecilo",
                                     "Sticto", "Grammo", "Telmato", "Elo",   "Cypero", "Omichlo", "Hygro",   "Pelo",
                                     "Ammo",   "Eremo",  "Anemo",   "Rhodo", "Chryso", "Orthro",  "Hespero", "Nycto",
                                     "Scirpo", "Aero",   "Potamo",  "Krano", "Thino",  "Drypto"};
typedef struct backing {
    const char *ending, *stem; /* nominative and stem for -idae */
    char gender;               /* m, f, n */
} backing;
static const backing backs[] = {
    {"lestes", "lest", 'm'},   {"cola", "col", 'f'},        {"nympha", "nymph", 'f'},  {"dytes", "dyt", 'm'},
    {"cantor", "cantor", 'm'}, {"phanes", "phan", 'm'},     {"charis", "charit", 'f'}, {"scelis", "scelid", 'f'},
    {"laimus", "laim", 'm'},   {"crena", "cren", 'f'},      {"gyra", "gyr", 'f'},      {"plectes", "plect", 'm'},
    {"tarsus", "tars", 'm'},   {"loxia", "loxi", 'f'},      {"pezus", "pez", 'm'},     {"thrips", "thrip", 'm'},
    {"ramphus", "ramph", 'm'}, {"glossa", "gloss", 'f'},    {"odus", "od", 'm'},       {"sitta", "sitt", 'f'},
    {"pterum", "pter", 'n'},   {"sceptrum", "sceptr", 'n'}, {"phoneus", "phone", 'm'}, {"lochma", "lochm", 'f'}};

/* Epithets and the word of a common name, by what is seen. Endings: "us" declines (us, a, um), "is" (is, is, e), others
 * stay. */
typedef struct describing {
    int mark; /* a marking, or -1 - shape for a large value of it */
    const char *epithet, *english;
} describing;
#define LARGE(shape) (-1 - (int)(shape))
static const describing descriptions[] = {
    {BT_FEN_HOOD, "cucullatus", "%s-hooded"},
    {BT_FEN_CAP, "pileatus", "%s-capped"},
    {BT_FEN_MASK, "larvatus", "Masked"},
    {BT_FEN_BREAST_BAND, "cinctus", "Banded"},
    {BT_FEN_COLLAR, "torquatus", "Collared"},
    {BT_FEN_BELLY, "ventralis", "%s-bellied"},
    {BT_FEN_BARS, "fasciatus", "Barred"},
    {BT_FEN_STREAKS, "striatus", "Streaked"},
    {BT_FEN_SPOTS, "guttatus", "Spotted"},
    {BT_FEN_BROW, "superciliosus", "Browed"},
    {BT_FEN_THROAT, "gularis", "Pale-throated"},
    {BT_FEN_WING_PATCH, "speculatus", "Mirror-winged"},
    {BT_FEN_WING_BARS, "bilineatus", "Wing-barred"},
    {BT_FEN_SCALES, "squamatus", "Scaled"},
    {BT_FEN_EYE_STRIPE, "lineatus", "Eye-striped"},
    {BT_FEN_TAIL_BAND, "limbatus", "Band-tailed"},
    {BT_FEN_RUMP, "uropygialis", "Pale-rumped"},
    {BT_FEN_EYE_RING, "annulatus", "Ring-eyed"},
    {BT_FEN_MALAR, "mystaceus", "Moustached"},
    {LARGE(BT_FEN_CREST), "cristatus", "Crested"},
    {LARGE(BT_FEN_TAIL), "caudatus", "Long-tailed"},
    {LARGE(BT_FEN_BILL), "rostratus", "Long-billed"},
    {LARGE(BT_FEN_LEG), "longipes", "Long-legged"},
};
static const char *const plain_epithets[] = {
    "palustris", "vespertinus", "pluvialis", "matutinus",  "solitarius", "lacustris", "paludicola", "nebulosus",
    "tacitus",   "vagus",       "borealis",  "autumnalis", "hibernus",   "vigilans",  "latens",     "gracilis",
    "modestus",  "venustus",    "errans",    "litoralis",  "fluvialis",  "insularis", "undulans",   "placidus",
    "fugax",     "serotinus",   "rusticus",  "socialis",   "maurus",     "stagnalis", "ripensis",   "amoenus"};
static const char *const plain_english[] = {
    "Marsh",  "Evening",   "Rain",     "Dawn",   "Solitary", "Lake",     "Fenland", "Misty",
    "Silent", "Wandering", "Northern", "Autumn", "Winter",   "Watchful", "Hidden",  "Slender",
    "Modest", "Lovely",    "Roving",   "Shore",  "River",    "Island",   "Rippled", "Quiet",
    "Shy",    "Late",      "Rustic",   "Social", "Dusky",    "Pool",     "Bank",    "Gentle"};
_Static_assert(sizeof plain_epithets == sizeof plain_english, "an English word for each plain epithet");

/* Common nouns by body plan; a genus takes one, so that species of a genus share it as far as they last. */
static const char *const nouns[BT_FEN_BODY_PLANS][5] = {
    {"Mireheron", "Fenstalker", "Reedstilt", "Poolspear", "Greyneck"},
    {"Dabbler", "Fenduck", "Meregoose", "Mudsifter", "Rushpochard"},
    {"Mudprobe", "Marshpiper", "Silt-runner", "Ooze-snipe", "Tidling"},
    {"Reedling", "Sedgewren", "Rushfinch", "Stemhopper", "Fenwarbler"},
    {"Sedgehen", "Quagrail", "Bogcrake", "Mirehen", "Skulker"},
    {"Pooltern", "Fengull", "Skimwing", "Mereswallowtail", "Dipwing"},
    {"Divelet", "Merediver", "Plumegrebe", "Weedloon", "Sinkbird"},
    {"Sicklebill", "Mudibis", "Curvepoke", "Fencurlew", "Scythebill"},
    {"Plungefisher", "Stemfisher", "Halcyonet", "Brookdart", "Darterfisher"},
    {"Reedhawk", "Fenharrier", "Marshglede", "Quarterer", "Sedgekite"},
    {"Ladlebill", "Spatulet", "Ooze-spoon", "Fenshoveller", "Paddlebill"},
    {"Reedmartin", "Fenswift", "Midgecatcher", "Dusk-martin", "Skyfork"}};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* One of `count` words that `taken` does not hold yet, from a drawn place on; a second round adds to it. */
static bool taken_before(const bt_fen_species *species, int count, const char *name, size_t offset) {
    for (int i = 0; i < count; i++)
        if (strcmp((const char *)&species[i] + offset, name) == 0) return true;
    return false;
}

static char decline(char *out, size_t bytes, const char *word, char gender) {
    size_t n = strlen(word);
    snprintf(out, bytes, "%s", word);
    if (n > 2 && strcmp(word + n - 2, "us") == 0 && gender != 'm')
        snprintf(out + n - 2, bytes - n + 2, "%s", gender == 'f' ? "a" : "um");
    if (n > 2 && strcmp(word + n - 2, "is") == 0 && gender == 'n') snprintf(out + n - 2, bytes - n + 2, "e");
    return gender;
}

static bool shows(const bt_fen_traits *t, const describing *d) {
    if (d->mark >= 0) return t->mark[d->mark] > 0.1;
    int shape = -1 - d->mark;
    return t->shape[shape] > 1.25 * bt_fen_body_plans[t->plan].shape[shape] + (shape == BT_FEN_CREST ? 0.15 : 0.05);
}

static void english_word(char *out, size_t bytes, const bt_fen_traits *t, const describing *d) {
    char colour[32];
    snprintf(colour, sizeof colour, "%s", bt_fen_pigments[t->pigment[BT_FEN_ACCENT]].name);
    colour[0] = (char)toupper((unsigned char)colour[0]);
    char *dash = strchr(colour, '-'); /* "Slate-grey-capped" is "Slate-capped" */
    if (dash) *dash = '\0';
    const char *hole = strstr(d->english, "%s");
    if (hole)
        snprintf(out, bytes, "%s%s", colour, hole + 2);
    else
        snprintf(out, bytes, "%s", d->english);
}

/* The k-th choice of a describing pair for a species: first what it shows, then plain words. False when all are used
 * up. */
static bool choice(const bt_fen_traits *t, int k, int turn, const char **epithet, char *english, size_t bytes) {
    int seen = 0;
    for (int i = 0; i < COUNT(descriptions); i++)
        if (shows(t, &descriptions[i]) && seen++ == k) {
            *epithet = descriptions[i].epithet;
            english_word(english, bytes, t, &descriptions[i]);
            return true;
        }
    k -= seen;
    if (k >= COUNT(plain_epithets)) return false;
    int word = (k + turn) % COUNT(plain_epithets);
    *epithet = plain_epithets[word];
    snprintf(english, bytes, "%s", plain_english[word]);
    return true;
}

static void set_slug(bt_fen_species *s) {
    snprintf(s->slug, sizeof s->slug, "%s_%s", s->genus_name, s->epithet);
    for (char *c = s->slug; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static bool genus_taken(const bt_fen_species *species, int count, const char *name) {
    return taken_before(species, count, name, offsetof(bt_fen_species, genus_name));
}

/* A genus name that none before has; in worlds of thousands of genera it gets a third root. */
static const backing *name_genus(bt_fen_dice *dice, const bt_fen_species *species, int before, char *out) {
    const backing *back;
    int tries = 0;
    do {
        back = &backs[bt_fen_index(dice, COUNT(backs))];
        const char *front = fronts[bt_fen_index(dice, COUNT(fronts))];
        if (tries++ < 200) {
            snprintf(out, BT_FEN_NAME_BYTES, "%s%s", front, back->ending);
        } else {
            char middle[16];
            snprintf(middle, sizeof middle, "%s", fronts[bt_fen_index(dice, COUNT(fronts))]);
            middle[0] = (char)tolower((unsigned char)middle[0]);
            snprintf(out, BT_FEN_NAME_BYTES, "%s%s%s", front, middle, back->ending);
        }
    } while (genus_taken(species, before, out));
    return back;
}

/* Epithet, common name and slug of a species within its genus. */
static void name_species(bt_fen_dice *dice, bt_fen_species *all, int i, char gender, const char *noun) {
    bt_fen_species *s = &all[i];
    char word[BT_FEN_NAME_BYTES];
    int turn = bt_fen_index(dice, COUNT(plain_epithets)), number = 2;
    for (int k = 0;; k++) {
        const char *epithet;
        if (choice(&s->traits, k, turn, &epithet, word, sizeof word)) {
            decline(s->epithet, sizeof s->epithet, epithet, gender);
            snprintf(s->common_name, sizeof s->common_name, "%s %s", word, noun);
        } else { /* more species of one noun than words: numbered, as catalogues do */
            snprintf(s->epithet, sizeof s->epithet, "numeratus%d", number);
            snprintf(s->common_name, sizeof s->common_name, "Catalogue-%d %s", number++, noun);
        }
        set_slug(s);
        if (!taken_before(all, i, s->slug, offsetof(bt_fen_species, slug)) &&
            !taken_before(all, i, s->common_name, offsetof(bt_fen_species, common_name)))
            return;
    }
}

static void rank_name(char *out, const char *genus, const backing *back, const char *ending) {
    size_t front = strlen(genus) - strlen(back->ending);
    snprintf(out, BT_FEN_NAME_BYTES, "%.*s%s%s", (int)front, genus, back->stem, ending);
}

bt_status bt_fen_name_all(uint64_t seed, int count, bt_fen_species *species) {
    bt_fen_dice dice = bt_fen_dice_new(seed, BT_FEN_STREAM_NAMES, 0, 0, 0);
    const backing *back = NULL;
    const char *noun = NULL;
    int uses[BT_FEN_BODY_PLANS] = {0};
    for (int i = 0; i < count; i++) {
        bt_fen_species *s = &species[i], *last = i ? &species[i - 1] : NULL;
        if (last) {
            memcpy(s->order_name, last->order_name, sizeof s->order_name);
            memcpy(s->family_name, last->family_name, sizeof s->family_name);
            memcpy(s->genus_name, last->genus_name, sizeof s->genus_name);
        }
        if (!last || s->genus != last->genus) {
            back = name_genus(&dice, species, i, s->genus_name);
            noun = nouns[s->traits.plan][uses[s->traits.plan]++ % 5];
        }
        if (!last || s->family != last->family) rank_name(s->family_name, s->genus_name, back, "idae");
        if (!last || s->order != last->order) rank_name(s->order_name, s->genus_name, back, "iformes");
        name_species(&dice, species, i, back->gender, noun);
    }
    return BT_OK;
}
