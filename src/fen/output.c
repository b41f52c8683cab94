/* Files of the Fen, and its tables. */
#include "fen/output.h"

#include "base/file.h"
#include "fen/caption.h"
#include "fen/song.h"
#include "formats/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bt_status bt_fen_join(const char *folder, const char *name, char *path, size_t bytes) {
    int length = snprintf(path, bytes, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= bytes)
        return bt_error(BT_ERR_USAGE, "the path %.60s... is too long: at most %zu bytes", folder, bytes - 1);
    return BT_OK;
}

bt_status bt_fen_write_file(const char *path, const bt_text *content) {
    BT_TRY(bt_text_status(content));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return bt_file_error("create", path, errno);
    const char *data = bt_text_get(content);
    size_t left = content->length;
    int error = 0;
    while (left > 0 && !error) {
        ssize_t done = write(fd, data, left);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0)
            error = errno;
        else
            data += done, left -= (size_t)done;
    }
    if (close(fd) != 0 && !error) error = errno; /* network file systems report a full disk only here */
    if (!error) return BT_OK;
    unlink(path);
    return bt_file_error("write", path, error);
}

void bt_fen_field(bt_text *out, const char *text, const char *separator) {
    if (!strpbrk(text, ",\"\r\n")) {
        bt_text_append(out, "%s%s", text, separator);
        return;
    }
    bt_text_append(out, "\"");
    for (const char *c = text; *c; c++) bt_text_append(out, *c == '"' ? "\"\"" : "%c", *c);
    bt_text_append(out, "\"%s", separator);
}

const char *bt_fen_ending(bt_fen_format format) {
    static const char *const endings[] = {[BT_FEN_JPEG] = ".jpg", [BT_FEN_PNG] = ".png", [BT_FEN_PPM] = ".ppm"};
    return endings[format];
}

static void species_fields(bt_text *out, const bt_fen_species *s) {
    bt_text_append(out, "%s %s,", s->genus_name, s->epithet);
    bt_fen_field(out, s->common_name, ",");
    bt_text_append(out, "%s,%s,%s,", s->genus_name, s->family_name, s->order_name);
}

static bt_status write_text(const char *folder, const char *name, const bt_text *text) {
    char path[BT_FEN_PATH];
    BT_TRY(bt_fen_join(folder, name, path, sizeof path));
    return bt_fen_write_file(path, text);
}

static void manifest_row(const bt_fen_world *w, int species, int image, const char *ending, bt_text *out,
                         bt_text *caption) {
    const bt_fen_species *s = &w->species[species];
    bt_fen_picture p;
    char path[256];
    bt_fen_plan(w, species, image, &p);
    bt_fen_picture_path(w, &p, path, sizeof path);
    bt_text_append(out, "images/%s%s,masks/%s.png,%s,", path, ending, path, bt_fen_split_names[p.split]);
    species_fields(out, s);
    bt_text_append(out, "%s_b%02d,place_%03d,%s,", s->slug, p.individual, p.scene, bt_fen_posture_name(p.pose.posture));
    bt_text_clear(caption);
    bt_fen_caption(w, &p, caption);
    bt_fen_field(out, bt_text_get(caption), "\r\n");
}

/* Rows are handed to the file one by one: a manifest of millions of rows is not held in memory. */
static bt_status write_manifest(const bt_fen_world *w, const bt_fen_options *o) {
    char path[BT_FEN_PATH];
    BT_TRY(bt_fen_join(o->folder, "manifest.csv", path, sizeof path));
    bt_file_writer writer;
    BT_TRY(bt_file_begin(path, &writer));
    bt_text row = {0}, caption = {0};
    bt_text_append(&row,
                   "path,mask,split,species,common_name,genus,family,order,individual,background,pose,caption\r\n");
    bt_status status = BT_OK;
    for (int s = 0; s < w->count && status == BT_OK; s++)
        for (int i = 0; i < w->images && status == BT_OK; i++) {
            manifest_row(w, s, i, bt_fen_ending(o->format), &row, &caption);
            status = bt_text_status(&row);
            if (status == BT_OK) status = bt_text_status(&caption);
            if (status == BT_OK) status = bt_file_append(&writer, bt_text_get(&row), row.length);
            bt_text_clear(&row);
        }
    bt_text_free(&row);
    bt_text_free(&caption);
    if (status == BT_OK) return bt_file_commit(&writer);
    bt_file_abandon(&writer);
    return status;
}

static bt_status write_songs(const bt_fen_world *w, const bt_fen_options *o) {
    bt_text out = {0};
    bt_text_append(&out, "path,split,species,common_name,genus,family,order,individual,words\r\n");
    for (int s = 0; s < w->count; s++)
        for (int n = 0; n < o->songs; n++) {
            bt_fen_recording r = bt_fen_recording_plan(w, s, n);
            const char *slug = w->species[s].slug;
            bt_text words = {0};
            bt_text_append(&out, "songs/%s/b%02d_%02d.wav,%s,", slug, r.individual, n, bt_fen_split_names[r.split]);
            species_fields(&out, &w->species[s]);
            bt_fen_song_words(w, s, &words);
            bt_text_append(&out, "%s_b%02d,", slug, r.individual);
            bt_fen_field(&out, bt_text_get(&words), "\r\n");
            bt_text_free(&words);
        }
    bt_status status = write_text(o->folder, "songs.csv", &out);
    bt_text_free(&out);
    return status;
}

static const char *const mark_names[BT_FEN_MARKS] = {"cap",          "hood",   "mask",      "eye_stripe",  "brow",
                                                     "malar_stripe", "throat", "collar",    "breast_band", "streaks",
                                                     "spots",        "bars",   "belly",     "rump",        "wing_bars",
                                                     "wing_patch",   "scales", "tail_band", "eye_ring"};
static const char *const slot_names[BT_FEN_SLOTS] = {"upper",  "under", "accent", "dark", "light",
                                                     "flight", "bill",  "legs",   "eye"};
static const char *const habitat_names[BT_FEN_HABITATS] = {"water", "mud", "reeds", "air"};

static bt_status write_taxonomy_csv(const bt_fen_world *w, const char *folder) {
    bt_text out = {0};
    bt_text_append(&out, "species,common_name,genus,family,order,folder,kind,habitat,length_cm,marks\r\n");
    for (int i = 0; i < w->count; i++) {
        const bt_fen_species *s = &w->species[i];
        species_fields(&out, s);
        bt_text_append(&out, "%s,%s,%s,%.0f,", s->slug, bt_fen_body_plans[s->traits.plan].kind,
                       habitat_names[s->traits.habitat], exp(s->traits.shape[BT_FEN_LENGTH]));
        const char *space = "";
        for (int m = 0; m < BT_FEN_MARKS; m++)
            if (bt_fen_shows(&s->traits, (bt_fen_mark)m))
                bt_text_append(&out, "%s%s", space, mark_names[m]), space = " ";
        bt_text_append(&out, "\r\n");
    }
    bt_status status = write_text(folder, "taxonomy.csv", &out);
    bt_text_free(&out);
    return status;
}

static void json_species(bt_json_writer *j, const bt_fen_species *s) {
    char binomial[2 * BT_FEN_NAME_BYTES];
    snprintf(binomial, sizeof binomial, "%s %s", s->genus_name, s->epithet);
    bt_json_begin_object(j);
    bt_json_member_string(j, "name", binomial);
    bt_json_member_string(j, "common_name", s->common_name);
    bt_json_member_string(j, "folder", s->slug);
    bt_json_member_string(j, "kind", bt_fen_body_plans[s->traits.plan].kind);
    bt_json_member_string(j, "habitat", habitat_names[s->traits.habitat]);
    bt_json_key(j, "colours");
    bt_json_begin_object(j);
    for (int k = 0; k < BT_FEN_SLOTS; k++)
        bt_json_member_string(j, slot_names[k], bt_fen_pigments[s->traits.pigment[k]].name);
    bt_json_end(j);
    bt_json_key(j, "marks");
    bt_json_begin_array(j);
    for (int m = 0; m < BT_FEN_MARKS; m++)
        if (bt_fen_shows(&s->traits, (bt_fen_mark)m)) bt_json_put_string(j, mark_names[m]);
    bt_json_end(j);
    bt_json_end(j);
}

static void json_begin_rank(bt_json_writer *j, const char *name, const char *children) {
    bt_json_begin_object(j);
    bt_json_member_string(j, "name", name);
    bt_json_key(j, children);
    bt_json_begin_array(j);
}

/* The tree: orders, each with families, each with genera, each with species. A node ends where its number changes. */
static bt_status write_taxonomy_json(const bt_fen_world *w, const char *folder) {
    bt_text out = {0};
    bt_json_writer j = bt_json_write_to(&out, true);
    bt_json_begin_object(&j);
    bt_json_member_integer(&j, "seed", (int64_t)w->seed);
    bt_json_key(&j, "orders");
    bt_json_begin_array(&j);
    for (int i = 0; i < w->count; i++) {
        const bt_fen_species *s = &w->species[i], *last = i ? s - 1 : NULL, *next = i + 1 < w->count ? s + 1 : NULL;
        if (!last || last->order != s->order) json_begin_rank(&j, s->order_name, "families");
        if (!last || last->family != s->family) json_begin_rank(&j, s->family_name, "genera");
        if (!last || last->genus != s->genus) json_begin_rank(&j, s->genus_name, "species");
        json_species(&j, s);
        int ended = !next || next->order != s->order ? 3
                    : next->family != s->family      ? 2
                    : next->genus != s->genus        ? 1
                                                     : 0;
        for (int k = 0; k < 2 * ended; k++) bt_json_end(&j); /* its array and its object */
    }
    bt_json_end(&j);
    bt_json_end(&j);
    bt_status status = bt_json_finish(&j);
    if (status == BT_OK) status = write_text(folder, "taxonomy.json", &out);
    bt_text_free(&out);
    return status;
}

static bt_status write_readme(const bt_fen_world *w, const bt_fen_options *o) {
    bt_text out = {0};
    bt_text_append(&out,
                   "A world of the Fen, generated by: bittern fen OUT --species %d --images %d --size %d --seed %llu "
                   "--songs %d --format %s\n\n",
                   w->count, w->images, w->size, (unsigned long long)w->seed, o->songs, bt_fen_ending(o->format) + 1);
    bt_text_append(
        &out,
        "%d species, %d pictures of each (train %d, query %d, database %d). No bird and no place is in two splits.\n\n"
        "images/SPLIT/SPECIES/BIRD_SHOT%s  pictures; masks/... the same path, 255 where the bird is seen\n"
        "manifest.csv  a row for each picture: path, mask, split, names, individual, background, pose, caption\n"
        "songs.csv     a row for each recording in songs/ (16 bits, mono, 32 kHz)\n"
        "taxonomy.csv, taxonomy.json  the tree, and what each species looks like\nsheet.png     a portrait of each "
        "species\n\n"
        "Every bird, name and place is invented. The files may be used for anything.\n",
        w->count, w->images, bt_fen_split_images(w->images, BT_FEN_TRAIN), bt_fen_split_images(w->images, BT_FEN_QUERY),
        bt_fen_split_images(w->images, BT_FEN_DATABASE), bt_fen_ending(o->format));
    bt_status status = write_text(o->folder, "README.txt", &out);
    bt_text_free(&out);
    return status;
}

bt_status bt_fen_write_tables(const bt_fen_world *w, const bt_fen_options *o) {
    BT_TRY(write_taxonomy_csv(w, o->folder));
    BT_TRY(write_taxonomy_json(w, o->folder));
    BT_TRY(write_songs(w, o));
    BT_TRY(write_readme(w, o));
    return write_manifest(w, o);
}
