/* Songs. */
#include "fen/song.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define RATE BT_FEN_SAMPLE_RATE
#define TWO_PI 6.283185307179586

typedef enum syllable_kind { WHISTLE, TRILL, BUZZ, CLICKS, STACK, SYLLABLE_KINDS } syllable_kind;
static const char *const kind_names[SYLLABLE_KINDS] = {"whistle", "trill", "buzz", "clicks", "nasal call"};

typedef struct syllable {
    syllable_kind kind;
    double from, middle, to; /* Hz: the contour's ends and its middle */
    double seconds, gap;     /* gap: the silence after it */
    double rate;             /* of a trill, buzz or clicks, Hz */
    int repeats;
} syllable;

typedef struct voice {
    int count;
    syllable syllable[4];
    double pause; /* between strophes */
} voice;

/* The repertoire: pitch falls with size, as in birds; relatives share the genus' first syllable. */
static syllable draw_syllable(bt_fen_dice *d, double pitch) {
    syllable s = {.kind = (syllable_kind)bt_fen_index(d, SYLLABLE_KINDS)};
    s.from = pitch * exp(0.35 * bt_fen_normal(d));
    s.to = s.from * exp(0.30 * bt_fen_normal(d));
    s.middle = sqrt(s.from * s.to) * exp(0.22 * bt_fen_normal(d));
    s.seconds = exp(bt_fen_range(d, log(0.06), log(0.45)));
    s.gap = bt_fen_range(d, 0.02, 0.16);
    s.rate = s.kind == BUZZ ? bt_fen_range(d, 60, 160) : bt_fen_range(d, 9, 34);
    s.repeats = s.seconds < 0.16 ? 1 + bt_fen_index(d, 5) : 1 + bt_fen_index(d, 2);
    return s;
}

static voice voice_of(const bt_fen_world *w, int species) {
    const bt_fen_species *sp = &w->species[species];
    int first = species;
    while (first > 0 && w->species[first - 1].genus == sp->genus) first--;
    double cm = exp(sp->traits.shape[BT_FEN_LENGTH]), pitch = bt_fen_clamp(4600 * pow(9 / cm, 0.85), 450, 6000);
    voice v = {0};
    bt_fen_dice genus = bt_fen_dice_new(w->seed, BT_FEN_STREAM_VOICE, first, 1, 0),
                own = bt_fen_dice_new(w->seed, BT_FEN_STREAM_VOICE, species, 0, 0);
    v.count = 2 + bt_fen_index(&own, 3);
    v.syllable[0] = draw_syllable(&genus, pitch);
    for (int i = 1; i < v.count; i++) v.syllable[i] = draw_syllable(&own, pitch);
    v.pause = bt_fen_range(&own, 0.25, 0.8);
    return v;
}

/* A smooth curve through the three pitches, t in 0..1, in octaves. */
static double contour(const syllable *s, double t) {
    double a = log(s->from), b = 2 * log(s->middle) - 0.5 * (log(s->from) + log(s->to)), c = log(s->to);
    return exp((1 - t) * (1 - t) * a + 2 * t * (1 - t) * b + t * t * c);
}

/* One syllable from sample `at` on, added to out (total). Partials above 0.45 of the rate would alias and are left out.
 */
static void utter(const syllable *s, double pitch, double tempo, double gain, int at, float *out, int total) {
    int length = (int)(s->seconds / tempo * RATE);
    double phase = 0;
    for (int i = 0; i < length && at + i < total; i++) {
        double t = (double)i / length, seconds = (double)i / RATE, f = contour(s, t) * pitch, value = 0;
        double envelope = sin(3.14159265 * pow(t, 0.7)), beat = s->rate * seconds,
               pulse = 0.5 - 0.5 * cos(TWO_PI * beat);
        if (s->kind == TRILL) f *= 1 + 0.12 * sin(TWO_PI * beat), envelope *= 0.25 + 0.75 * pulse;
        if (s->kind == BUZZ) envelope *= 0.3 + 0.7 * pulse;
        if (s->kind == CLICKS) envelope *= exp(-14 * (beat - floor(beat)));
        phase += TWO_PI * f / RATE;
        int partials = s->kind == STACK ? 6 : s->kind == BUZZ ? 4 : s->kind == CLICKS ? 3 : 2;
        for (int k = 1; k <= partials && k * f < 0.45 * RATE; k++) {
            double level = s->kind == STACK ? exp(-0.25 * (k - 2) * (k - 2)) : pow(k == 1 ? 1 : 0.30, k - 1);
            value += level * sin(k * phase);
        }
        out[at + i] += (float)(gain * envelope * value);
    }
}

/* The song from sample `at` to the end: strophes with pauses. */
static void sing(const voice *v, bt_fen_dice *d, double gain, int at, float *out, int total) {
    double pitch = exp(0.035 * bt_fen_normal(d)), tempo = exp(0.07 * bt_fen_normal(d));
    while (at < total) {
        for (int i = 0; i < v->count && at < total; i++) {
            const syllable *s = &v->syllable[i];
            int repeats = s->repeats + (bt_fen_chance(d, 0.25) ? 1 : 0);
            double level = gain * bt_fen_range(d, 0.75, 1);
            for (int r = 0; r < repeats && at < total; r++) {
                if (at + (int)(s->seconds / tempo * RATE) > total) return; /* no syllable is cut */
                utter(s, pitch * exp(0.012 * bt_fen_normal(d)), tempo, level, at, out, total);
                at += (int)((s->seconds + s->gap * bt_fen_range(d, 0.85, 1.15)) / tempo * RATE);
            }
        }
        at += (int)(v->pause * bt_fen_range(d, 0.7, 1.6) / tempo * RATE);
    }
}

/* Wind (slow, low), water (bubbling, middle) and insects (a steady high chirr), each as filtered noise. */
static void background(bt_fen_dice *d, float *out, int total) {
    double wind = bt_fen_range(d, 0.01, 0.05), water = bt_fen_range(d, 0.002, 0.02),
           insects = bt_fen_chance(d, 0.5) ? bt_fen_range(d, 0.002, 0.010) : 0;
    double chirr = bt_fen_range(d, 5500, 9500), chirr_rate = bt_fen_range(d, 14, 40), low = 0, lower = 0, band = 0,
           memory = 0;
    uint32_t seed = bt_fen_word(d);
    for (int i = 0; i < total; i++) {
        double white = 2 * bt_fen_hash_unit(i, 0, seed) - 1, t = (double)i / RATE;
        low += 0.02 * (white - low);
        lower += 0.02 * (low - lower);
        /* A resonance near 900 Hz that comes and goes. */
        double next = white + 1.90 * band - 0.93 * memory;
        memory = band;
        band = next;
        double gust = 0.6 + 0.4 * bt_fen_noise(t * 0.9, 0, seed + 1),
               swell = 0.5 + 0.5 * bt_fen_noise(t * 7, 0, seed + 2);
        double splash = swell * swell * swell; /* never silent: a hard edge shows in a spectrogram */
        double pulse = 0.5 + 0.5 * sin(TWO_PI * chirr_rate * t);
        out[i] += (float)(wind * 18 * lower * gust + water * 0.12 * band * splash +
                          insects * sin(TWO_PI * chirr * t + 0.8 * white) * pulse * pulse);
    }
}

/* Birds far away: other species' songs, faint and dull. `scratch` (total) is overwritten. */
static void distant(const bt_fen_world *w, bt_fen_dice *d, int species, float *out, float *scratch, int total) {
    if (w->count < 2 || bt_fen_chance(d, 0.4)) return;
    int other = (species + 1 + bt_fen_index(d, w->count - 1)) % w->count;
    voice v = voice_of(w, other);
    memset(scratch, 0, (size_t)total * sizeof *scratch);
    sing(&v, d, bt_fen_range(d, 0.02, 0.07), (int)(bt_fen_range(d, 0, 2) * RATE), scratch, total);
    double dull = 0;
    for (int i = 0; i < total; i++) {
        dull += 0.35 * (scratch[i] - dull);
        out[i] += (float)dull;
    }
}

bt_fen_recording bt_fen_recording_plan(const bt_fen_world *w, int species, int number) {
    static const bt_fen_split turns[BT_FEN_SPLITS] = {BT_FEN_TRAIN, BT_FEN_DATABASE, BT_FEN_QUERY};
    bt_fen_recording r = {.species = species, .number = number, .split = turns[number % BT_FEN_SPLITS]};
    int first = 0, birds = 0;
    for (int s = 0; s <= (int)r.split; s++) {
        first += birds;
        birds = (bt_fen_split_images(w->images, (bt_fen_split)s) + BT_FEN_SHOTS - 1) / BT_FEN_SHOTS;
    }
    r.individual = first + number / BT_FEN_SPLITS % birds;
    return r;
}

bt_status bt_fen_sing(const bt_fen_world *w, const bt_fen_recording *r, int16_t *out, int *count) {
    bt_fen_dice d = bt_fen_dice_new(w->seed, BT_FEN_STREAM_SONG, r->species, r->individual, r->number);
    int total = (int)(bt_fen_range(&d, 3, BT_FEN_SONG_SECONDS) * RATE);
    float *sound = bt_memory_zeroed((size_t)total * 2, sizeof *sound);
    if (!sound) return BT_ERR_MEMORY;
    voice v = voice_of(w, r->species);
    sing(&v, &d, bt_fen_range(&d, 0.4, 0.8), (int)(bt_fen_range(&d, 0.1, 0.5) * RATE), sound, total);
    distant(w, &d, r->species, sound, sound + total, total);
    background(&d, sound, total);
    double peak = 1e-9, level = bt_fen_range(&d, 0.5, 0.9);
    for (int i = 0; i < total; i++) peak = fmax(peak, fabs(sound[i]));
    for (int i = 0; i < total; i++) out[i] = (int16_t)lrint(32767 * level * sound[i] / peak);
    bt_memory_free(sound);
    *count = total;
    return BT_OK;
}

static void put(bt_text *out, uint32_t value, int bytes) {
    char little[4];
    for (int i = 0; i < bytes; i++) little[i] = (char)(value >> 8 * i & 255);
    bt_text_append_bytes(out, little, (size_t)bytes);
}

bt_status bt_fen_wav(const int16_t *samples, int count, bt_text *out) {
    uint32_t data_bytes = (uint32_t)count * 2;
    bt_text_append(out, "RIFF");
    put(out, 36 + data_bytes, 4);
    bt_text_append(out, "WAVEfmt ");
    put(out, 16, 4);
    put(out, 1, 2); /* PCM */
    put(out, 1, 2); /* channels */
    put(out, RATE, 4);
    put(out, RATE * 2, 4); /* bytes a second */
    put(out, 2, 2);        /* bytes a frame */
    put(out, 16, 2);       /* bits a sample */
    bt_text_append(out, "data");
    put(out, data_bytes, 4);
    for (int i = 0; i < count; i++) put(out, (uint16_t)samples[i], 2);
    return bt_text_status(out);
}

void bt_fen_song_words(const bt_fen_world *w, int species, bt_text *out) {
    voice v = voice_of(w, species);
    for (int i = 0; i < v.count; i++) {
        const syllable *s = &v.syllable[i];
        const char *way = s->kind == CLICKS        ? ""
                          : s->to > 1.15 * s->from ? "rising "
                          : s->to < 0.87 * s->from ? "falling "
                                                   : "level ";
        bt_text_append(out, "%s%s%s", i == 0 ? "" : i == v.count - 1 ? " and " : ", ", way, kind_names[s->kind]);
    }
}
