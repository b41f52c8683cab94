/* The Fen's plan: names, looks, splits, captions. Nothing is drawn. */
#include "check.h"

#ifdef BITTERN_WITH_CAIRO

#include "base/memory.h"
#include "fen/caption.h"

#include <ctype.h>

enum { SPECIES = 60, IMAGES = 37 };

static bt_fen_species species[SPECIES];
static const bt_fen_world world = {.seed = 11, .count = SPECIES, .images = IMAGES, .size = 32, .species = species};

static int make(void **state) {
    (void)state;
    return bt_fen_evolve(world.seed, SPECIES, species) == BT_OK ? 0 : -1;
}

static void names_are_unique_and_plain(void **state) {
    (void)state;
    for (int i = 0; i < SPECIES; i++) {
        const bt_fen_species *a = &species[i];
        assert_true(isupper((unsigned char)a->genus_name[0]) && islower((unsigned char)a->epithet[0]));
        for (const char *c = a->slug; *c; c++) assert_true(islower((unsigned char)*c) || *c == '_');
        assert_non_null(strstr(a->family_name, "idae"));
        assert_non_null(strstr(a->order_name, "iformes"));
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(a->slug, species[k].slug);
            assert_string_not_equal(a->common_name, species[k].common_name);
            assert_true(a->genus != species[k].genus || strcmp(a->genus_name, species[k].genus_name) == 0);
            assert_true(a->genus == species[k].genus || strcmp(a->genus_name, species[k].genus_name) != 0);
        }
    }
}

/* The largest world is named without running out of words. */
static void a_thousand_names(void **state) {
    (void)state;
    enum { MANY = 1000 };
    bt_fen_species *many = bt_memory_zeroed(MANY, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < MANY; i++) {
        many[i] =
            (bt_fen_species){.order = i / 250, .family = i / 100, .genus = i / 3, .traits = species[i % 7].traits};
    }
    check_ok(bt_fen_name_all(3, MANY, many));
    for (int i = 1; i < MANY; i++) {
        assert_true(many[i].common_name[0] && many[i].slug[0]);
        for (int k = 0; k < i; k++) assert_string_not_equal(many[i].slug, many[k].slug);
    }
    bt_memory_free(many);
}

static void looks_differ_and_follow_the_tree(void **state) {
    (void)state;
    double in_genus = 0, apart = 0;
    int in_count = 0, apart_count = 0;
    for (int i = 0; i < SPECIES; i++)
        for (int k = 0; k < i; k++) {
            double distance = bt_fen_distance(&species[i].traits, &species[k].traits);
            assert_true(distance >= BT_FEN_LEAST_DISTANCE);
            if (species[i].genus == species[k].genus) in_genus += distance, in_count++;
            if (species[i].order != species[k].order) apart += distance, apart_count++;
        }
    assert_true(in_count > 0 && apart_count > 0);
    assert_true(in_genus / in_count < 0.7 * (apart / apart_count));
}

static void the_tree_is_nested(void **state) {
    (void)state;
    for (int i = 1; i < SPECIES; i++) {
        const bt_fen_species *a = &species[i - 1], *b = &species[i];
        assert_in_range(b->order - a->order, 0, 1);
        assert_in_range(b->family - a->family, 0, 1);
        assert_in_range(b->genus - a->genus, 0, 1);
        if (b->order != a->order) assert_int_not_equal(b->family, a->family);
        if (b->family != a->family) assert_int_not_equal(b->genus, a->genus);
    }
    assert_true(species[SPECIES - 1].order >= 3);
    assert_true(species[SPECIES - 1].genus > species[SPECIES - 1].family);
}

static void another_seed_is_another_world(void **state) {
    (void)state;
    static bt_fen_species other[SPECIES];
    check_ok(bt_fen_evolve(12, SPECIES, other));
    int same = 0;
    for (int i = 0; i < SPECIES; i++) same += strcmp(other[i].slug, species[i].slug) == 0;
    assert_true(same < 3);
    check_ok(bt_fen_evolve(world.seed, SPECIES, other));
    assert_memory_equal(other, species, sizeof species);
}

/* Where each place and each bird of species 0 is seen. */
static void splits_share_no_bird_and_no_place(void **state) {
    (void)state;
    int place[1024], bird[1024], count[BT_FEN_SPLITS] = {0};
    for (int i = 0; i < 1024; i++) place[i] = -1;
    for (int s = 0; s < SPECIES; s++) {
        for (int i = 0; i < 1024; i++) bird[i] = -1;
        for (int i = 0; i < IMAGES; i++) {
            bt_fen_picture p;
            bt_fen_plan(&world, s, i, &p);
            assert_in_range(p.scene, 0, 1023);
            assert_in_range(p.individual, 0, 1023);
            assert_true(place[p.scene] == -1 || place[p.scene] == (int)p.split);
            assert_true(bird[p.individual] == -1 || bird[p.individual] == (int)p.split);
            place[p.scene] = bird[p.individual] = (int)p.split;
            if (s == 0) count[p.split]++;
        }
    }
    assert_int_equal(count[BT_FEN_TRAIN], 18);
    assert_int_equal(count[BT_FEN_QUERY], 3);
    assert_int_equal(count[BT_FEN_DATABASE], 16);
}

static void paths_are_unique(void **state) {
    (void)state;
    static char path[IMAGES][256];
    for (int i = 0; i < IMAGES; i++) {
        bt_fen_picture p;
        bt_fen_plan(&world, 5, i, &p);
        bt_fen_picture_path(&world, &p, path[i], sizeof path[i]);
        for (int k = 0; k < i; k++) assert_string_not_equal(path[i], path[k]);
    }
}

static bool mentions(const char *text, const char *word) {
    return strstr(text, word) != NULL;
}

/* A caption names the bird or its kind, and says only what the species has. */
static void captions_follow_the_traits(void **state) {
    (void)state;
    bt_text caption = {0}, before = {0};
    int varied = 0;
    for (int s = 0; s < SPECIES; s++)
        for (int i = 0; i < 12; i++) {
            const bt_fen_traits *t = &species[s].traits;
            bt_fen_picture p;
            bt_fen_plan(&world, s, i, &p);
            bt_text_clear(&caption);
            bt_fen_caption(&world, &p, &caption);
            const char *c = bt_text_get(&caption);
            assert_true(isupper((unsigned char)c[0]) && c[strlen(c) - 1] == '.');
            assert_null(strstr(c, "  "));
            assert_true(mentions(c, species[s].common_name) || mentions(c, bt_fen_body_plans[t->plan].kind));
            if (mentions(c, " hood") && !mentions(species[s].common_name, "hood"))
                assert_true(bt_fen_shows(t, BT_FEN_HOOD));
            if (mentions(c, "barred flanks")) assert_true(bt_fen_shows(t, BT_FEN_BARS));
            if (mentions(c, "wing bars")) assert_true(bt_fen_shows(t, BT_FEN_WING_BARS));
            if (mentions(c, "spoon-shaped")) assert_true(t->shape[BT_FEN_BILL_SPOON] > 0.5);
            if (mentions(c, " legs")) assert_int_not_equal(p.pose.posture, BT_FEN_SWIMMING);
            if (mentions(c, "facing left")) assert_int_equal(p.pose.facing, -1);
            varied += strcmp(c, bt_text_get(&before)) != 0;
            bt_text_clear(&before);
            bt_text_append(&before, "%s", c);
        }
    assert_true(varied > SPECIES * 12 * 9 / 10);
    bt_text_free(&caption);
    bt_text_free(&before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_plain),
        cmocka_unit_test(a_thousand_names),
        cmocka_unit_test(looks_differ_and_follow_the_tree),
        cmocka_unit_test(the_tree_is_nested),
        cmocka_unit_test(another_seed_is_another_world),
        cmocka_unit_test(splits_share_no_bird_and_no_place),
        cmocka_unit_test(paths_are_unique),
        cmocka_unit_test(captions_follow_the_traits),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}

#else

int main(void) {
    puts("this build has no cairo");
    return 77;
}

#endif
