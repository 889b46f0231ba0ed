/* licence_parts.c - a model's parts, and what each says of its licence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/licence.h"
#include "coordinator/campaign/licence_card.h"

static const char *const folders[] = {"transformer",  "transformer_2", "vae",
                                      "text_encoder", "image_encoder", "audio_encoder"};
enum { FOLDERS = (int)(sizeof folders / sizeof *folders), HEADER_BYTES = 100 << 20 };

static bool read_card_file(const char *folder, const char *name, LicenceCard *out)
{
    char *path = path_join(folder, name), *text = NULL;
    size_t bytes;
    bool read = file_exists(path) && !failed(file_read(path, LICENCE_CARD_BYTES, &text, &bytes));
    if (read) licence_card_parse(text, bytes, out);
    free(text);
    free(path);
    if (read && (out->licence || out->count)) return true;
    if (read) licence_card_clear(out);
    return false;
}

/* The name of the file that was read; NULL: none says anything. */
static const char *read_card(const char *folder, LicenceCard *out)
{
    *out = (LicenceCard){0};
    if (read_card_file(folder, "README.md", out)) return "README.md";
    return read_card_file(folder, "MODEL_CARD.md", out) ? "MODEL_CARD.md" : NULL;
}

static LicencePart *add(LicenceParts *p, const char *part, const char *licence, const char *from, const char *training)
{
    if (p->count == LICENCE_MAX_PARTS) return NULL;
    LicencePart *one = &p->part[p->count++];
    *one = (LicencePart){.licence = text_copy(licence ? licence : ""),
                         .from = text_copy(from ? from : ""),
                         .training = text_copy(training ? training : "")};
    snprintf(one->part, sizeof one->part, "%s", part);
    return one;
}

static const char *card_part(const LicenceCard *c, const char *part)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->part[i], part) == 0) return c->part_licence[i];
    return NULL;
}

static const char *json_part(const json_t *settings, const char *part)
{
    const json_t *all = json_object_get(settings, "licences");
    const char *own = json_string_value(json_object_get(all, part));
    if (own) return own;
    return json_is_string(all) ? json_string_value(all) : json_string_value(json_object_get(all, "default"));
}

typedef struct {
    const char *folder, *card_name;
    LicenceCard card;
    json_t *settings; /* reelwright.json */
} Model;

static void add_part(const Model *m, const char *part, LicenceParts *out)
{
    LicenceCard own;
    char *folder = path_join(m->folder, part), *from = NULL;
    const char *own_name = read_card(folder, &own), *set = json_part(m->settings, part),
               *told = card_part(&m->card, part);
    const char *training = json_string_value(json_object_get(m->settings, "training_data"));
    if (own.training) training = own.training;
    if (!training) training = m->card.training;
    if (!set && own.licence) from = text_format("%s/%s", part, own_name);
    const char *licence = set ? set : own.licence ? own.licence : told ? told : m->card.licence;
    add(out, part, licence, set ? "reelwright.json" : from ? from : licence ? m->card_name : "", training);
    licence_card_clear(&own);
    free(from);
    free(folder);
}

void licence_read_parts(const char *model_folder, LicenceParts *out)
{
    Model m = {.folder = model_folder};
    char *settings = path_join(model_folder, "reelwright.json");
    *out = (LicenceParts){0};
    m.settings = json_load_file(settings, JSON_REJECT_DUPLICATES, NULL);
    m.card_name = read_card(model_folder, &m.card);
    for (int i = 0; i < FOLDERS; i++) {
        char *folder = path_join(model_folder, folders[i]);
        if (file_is_folder(folder)) add_part(&m, folders[i], out);
        free(folder);
    }
    licence_card_clear(&m.card);
    json_decref(m.settings);
    free(settings);
}

/* {"__metadata__": {"license": ...}} in the safetensors header, as trainers write it */
static json_t *read_metadata(const char *file)
{
    unsigned char length[8];
    uint64_t bytes = 0;
    json_t *header = NULL;
    FILE *f;
    file_open_stream(file, &f); /* NULL where it cannot be read */
    bool read = f && fread(length, 1, sizeof length, f) == sizeof length;
    for (int i = 7; read && i >= 0; i--) bytes = bytes << 8 | length[i];
    if (read && bytes > 1 && bytes <= HEADER_BYTES) {
        char *text = malloc((size_t)bytes);
        if (text && fread(text, 1, (size_t)bytes, f) == bytes) header = json_loadb(text, (size_t)bytes, 0, NULL);
        free(text);
    }
    if (f) fclose(f);
    json_t *metadata = json_incref(json_object_get(header, "__metadata__"));
    json_decref(header);
    return metadata;
}

void licence_add_adapter(const char *file, LicenceParts *out)
{
    static const char *const keys[] = {"license", "licence", "modelspec.license", "ss_license"};
    char part[64];
    const char *licence = NULL;
    json_t *metadata = read_metadata(file);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !licence; i++)
        licence = json_string_value(json_object_get(metadata, keys[i]));
    snprintf(part, sizeof part, "lora %.50s", path_name(file));
    for (int i = 0; i < out->count; i++)
        if (strcmp(out->part[i].part, part) == 0) licence = NULL, part[0] = 0;
    if (*part)
        add(out, part, licence, licence ? path_name(file) : "",
            json_string_value(json_object_get(metadata, "training_data")));
    json_decref(metadata);
}

/* The engine that speaks: each of code, weights and voice that its card tells apart, else all of it. */
void licence_add_voice(const char *engine, const char *card_file, LicenceParts *out)
{
    LicenceCard card;
    if (!engine || strcmp(engine, "espeak") == 0) {
        add(out, "voice espeak-ng", "gpl-3.0", "", "");
        return;
    }
    char *folder = path_folder(card_file ? card_file : "");
    bool read = card_file && read_card_file(folder, path_name(card_file), &card);
    for (int i = 0; read && i < card.count; i++) {
        char part[64];
        snprintf(part, sizeof part, "voice %.50s", card.part[i]);
        add(out, part, card.part_licence[i], path_name(card_file), card.training);
    }
    if (!read || card.count == 0)
        add(out, "voice", read ? card.licence : "", read ? path_name(card_file) : "", read ? card.training : "");
    if (read) licence_card_clear(&card);
    free(folder);
}

void licence_clear_parts(LicenceParts *p)
{
    for (int i = 0; i < p->count; i++) {
        free(p->part[i].licence);
        free(p->part[i].from);
        free(p->part[i].training);
    }
    p->count = 0;
}
