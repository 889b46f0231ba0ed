#include "licence.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/media.h"
#include "trust/territory.h"

typedef struct { /* an entry of the table */
    YamlWords names, excludes;
    double revenue_limit_usd;
    bool commercial;
    char *clause, *uses, *source, *date;
} Entry;

#define TO(member) .to = offsetof(Entry, member)

static const YamlField schema[] = {
    {"names", YAML_WORDS, TO(names), .help = "other ways to write it"},
    {"excludes", YAML_WORDS, TO(excludes), .help = "territories"},
    {"revenue_limit_usd", YAML_NUMBER, TO(revenue_limit_usd), .max = 1e15, .fallback = "0", .help = "yearly revenue"},
    {"commercial", YAML_SWITCH, TO(commercial), .fallback = "true", .help = "allows commercial use"},
    {"clause", YAML_TEXT, TO(clause), .help = "where it says so"},
    {"uses", YAML_TEXT, TO(uses), .help = "uses that it forbids"},
    {"source", YAML_TEXT, TO(source), .required = true, .help = "where it was read"},
    {"date", YAML_TEXT, TO(date), .required = true, .help = "when"}};
enum { FIELDS = (int)(sizeof schema / sizeof *schema) };

static void clear_entry(Entry *e)
{
    for (int i = 0; i < e->names.count; i++) free(e->names.word[i]);
    for (int i = 0; i < e->excludes.count; i++) free(e->excludes.word[i]);
    free(e->clause);
    free(e->uses);
    free(e->source);
    free(e->date);
    *e = (Entry){0};
}

/* "Apache 2.0", "apache-2.0" and "APACHE_2.0" are one. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a == ' ' || *a == '_' ? '-' : *a, y = *b == ' ' || *b == '_' ? '-' : *b;
        if (x >= 'A' && x <= 'Z') x = (char)(x - 'A' + 'a');
        if (y >= 'A' && y <= 'Z') y = (char)(y - 'A' + 'a');
        if (x != y) return false;
        if (!x) return true;
    }
}

/* The entry of that name; false: there is none. *name is its own, lives as long as y. */
static bool find_entry(Yaml *y, const char *licence, const char **name, Entry *out)
{
    int line[FIELDS];
    for (int i = 0; i < yaml_entry_count(y); i++) {
        memset(out, 0, sizeof *out);
        *name = yaml_read_entry(y, i, schema, FIELDS, out, line);
        bool found = *name && same_name(*name, licence);
        for (int k = 0; *name && k < out->names.count && !found; k++) found = same_name(out->names.word[k], licence);
        if (found) return true;
        clear_entry(out);
    }
    return false;
}

static Yaml *open_table(Faults **faults)
{
    *faults = faults_new();
    Yaml *y = yaml_open("licences.yaml", licence_text, licence_text_bytes, *faults);
    if (!y) abort(); /* it is part of the program, and tested */
    return y;
}

static void close_table(Yaml **y, Faults **faults)
{
    yaml_close(y);
    faults_free(faults);
}

/* ---- one part ---- */

typedef struct {
    CampaignLoad *l;
    const LicencePart *part;
    const char *key;  /* of the campaign, which names it */
    const char *name; /* of the licence */
    const Entry *entry;
} Case;

static bool accepts(const CampaignLoad *l, const char *licence)
{
    const YamlWords *w = &l->file.licence_accept;
    for (int i = 0; i < w->count; i++)
        if (same_name(w->word[i], licence) || (!*licence && same_name(w->word[i], "unknown"))) return true;
    return false;
}

/* A fault, or a warning where the campaign says why it may. */
static void complain(const Case *c, const char *name, const char *what, const char *cure)
{
    CampaignLoad *l = c->l;
    char *from = *c->part->from ? text_format(" (%s)", c->part->from) : text_copy("");
    if (accepts(l, name))
        faults_warn(l->faults, campaign_place(l, c->key), "", "part %s%s: %s; accepted: %s", c->part->part, from, what,
                    l->file.licence_reason);
    else
        faults_add(l->faults, campaign_place(l, c->key),
                   "part %s%s: %s; %s, or say why it may: licence: {accept: [%s], reason: ...}", c->part->part, from,
                   what, cure, *name ? name : "unknown");
    free(from);
}

static void check_place(const Case *c, const char *place, const char *key)
{
    for (int i = 0; i < c->entry->excludes.count; i++) {
        if (!trust_territory_overlaps(place, c->entry->excludes.word[i])) continue;
        char *what =
            text_format("its licence, %s, gives no rights in %s (%s), and %s names %s", c->name,
                        c->entry->excludes.word[i], c->entry->clause ? c->entry->clause : "territory", key, place);
        complain(c, c->name, what, "take another one");
        free(what);
        return;
    }
}

static void check_territories(const Case *c)
{
    const CampaignFile *f = &c->l->file;
    if (c->entry->excludes.count == 0) return;
    if (!f->operator_territory || f->audience.count == 0) {
        char *what =
            text_format("its licence, %s, does not hold everywhere (%s), and the campaign does not say %s", c->name,
                        c->entry->clause ? c->entry->clause : "territory",
                        !f->operator_territory ? "who makes it, operator.territory" : "where it is shown, audience");
        complain(c, c->name, what, "say both");
        free(what);
        return;
    }
    check_place(c, f->operator_territory, "operator.territory");
    for (int i = 0; i < f->audience.count; i++) check_place(c, f->audience.word[i], "audience");
}

static void check_money(const Case *c)
{
    const CampaignFile *f = &c->l->file;
    const double limit = c->entry->revenue_limit_usd;
    char *what = NULL;
    if (!c->entry->commercial && f->operator_commercial)
        what = text_format("its licence, %s, allows no commercial use (%s)", c->name,
                           c->entry->clause ? c->entry->clause : "non-commercial");
    else if (limit > 0 && f->operator_revenue_usd < 0)
        what = text_format(
            "its licence, %s, depends on the operator's yearly revenue (%s), and operator.revenue_usd is not given",
            c->name, c->entry->clause ? c->entry->clause : "");
    else if (limit > 0 && f->operator_revenue_usd >= limit)
        what =
            text_format("its licence, %s, ends at a yearly revenue of %.0f USD (%s), and operator.revenue_usd is %.0f",
                        c->name, limit, c->entry->clause ? c->entry->clause : "", f->operator_revenue_usd);
    if (what)
        complain(c, c->name, what,
                 c->entry->commercial ? "say it, or buy the licence"
                                      : "take another one, or say operator: {commercial: false} if that is so");
    free(what);
}

/* No licence is given for the part. That is a fault where the campaign says who makes the clips or for whom (operator, audience); else it is
 * not told. */
static void check_silent(const Case *c)
{
    const CampaignFile *f = &c->l->file;
    static const char what[] = "no model card says under which licence it is";
    const bool voice = strncmp(c->part->part, "voice", 5) == 0, lora = strncmp(c->part->part, "lora", 4) == 0;
    if (f->operator_territory || f->audience.count || accepts(c->l, ""))
        complain(c, "", what,
                 voice  ? "name a file with `license: ...` in front as voice.card"
                 : lora ? "add \"license\" to its safetensors metadata"
                        : "add a README.md with `license: ...` in front, or \"licences\" to the model's "
                          "reelwright.json");
}

static void check_part(CampaignLoad *l, Yaml *table, const char *key, const LicencePart *part)
{
    Entry entry;
    Case c = {.l = l, .part = part, .key = key, .entry = &entry};
    if (!*part->licence) {
        check_silent(&c);
        return;
    }
    if (!find_entry(table, part->licence, &c.name, &entry)) {
        char *what = text_format("its licence, %s, is not known here", quoted(part->licence).text);
        complain(&c, part->licence, what, "read it");
        free(what);
        return;
    }
    check_territories(&c);
    check_money(&c);
    clear_entry(&entry);
}

static void check_operator(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    if (f->operator_territory && !trust_territory_known(f->operator_territory))
        faults_add(l->faults, campaign_place(l, "operator.territory"), "%s, expected a country's code, DE",
                   quoted(f->operator_territory).text);
    if (f->licence_accept.count && (!f->licence_reason || !f->licence_reason[strspn(f->licence_reason, " \t\n")]))
        faults_add(l->faults, campaign_place(l, "licence.accept"),
                   "without licence.reason; expected why it may be used, for the dossier");
}

static void check_parts(CampaignLoad *l, Yaml *table, const char *key, LicenceParts *parts)
{
    for (int i = 0; i < parts->count; i++) check_part(l, table, key, &parts->part[i]);
    licence_clear_parts(parts);
}

static void check_voice(CampaignLoad *l, Yaml *table)
{
    const CampaignVoice *v = &l->file.voice;
    LicenceParts parts = {0};
    if ((!v->text && !v->ssml) || v->file) return;
    char *card = v->card ? path_join(l->campaign->folder, v->card) : NULL;
    if (card && !file_exists(card))
        faults_add(l->faults, campaign_place(l, "voice.card"), "%s: no such file", quoted(v->card).text);
    licence_add_voice(v->engine, card, &parts);
    check_parts(l, table, v->text ? "voice.text" : "voice.ssml", &parts);
    free(card);
}

/* Those that all rows have. */
static void add_adapters(const CampaignLoad *l, LicenceParts *parts)
{
    const CampaignLora *lora = l->file.loras.item;
    for (int i = 0; i < l->file.loras.count; i++) {
        if (!lora[i].file || !*lora[i].file || strstr(lora[i].file, "{{")) continue;
        char *path = path_join(l->campaign->folder, lora[i].file);
        if (file_exists(path)) licence_add_adapter(path, parts);
        free(path);
    }
}

void licence_read_campaign(const CampaignLoad *l, LicenceParts *out)
{
    licence_read_parts(l->campaign->model_folder, out);
    add_adapters(l, out);
}

void licence_check(CampaignLoad *l)
{
    LicenceParts parts;
    Faults *faults;
    check_operator(l);
    Yaml *table = open_table(&faults);
    if (l->campaign->model) {
        licence_read_parts(l->campaign->model_folder, &parts);
        check_parts(l, table, "model", &parts);
    }
    check_voice(l, table);
    close_table(&table, &faults);
}

typedef struct {
    CampaignLoad *l;
    Yaml *table;
} Adapters;

static void check_adapter(void *self, const char *file)
{
    const Adapters *a = self;
    LicenceParts parts = {0};
    licence_add_adapter(file, &parts);
    check_parts(a->l, a->table, "loras", &parts);
}

void licence_check_adapters(CampaignLoad *l)
{
    Faults *faults;
    if (l->file.loras.count == 0) return;
    Adapters a = {l, open_table(&faults)};
    campaign_media_adapters(l->media, check_adapter, &a);
    close_table(&a.table, &faults);
}

/* ---- for the dossier ---- */

static json_t *words_json(const YamlWords *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++) json_array_append_new(list, json_string(w->word[i]));
    return list;
}

json_t *licence_to_json(const LicenceParts *p)
{
    Faults *faults;
    Yaml *table = open_table(&faults);
    json_t *all = json_array();
    for (int i = 0; i < p->count; i++) {
        Entry e;
        const char *name = NULL;
        json_t *one = json_pack("{s:s,s:s,s:s,s:s}", "part", p->part[i].part, "licence", p->part[i].licence, "from",
                                p->part[i].from, "training_data", p->part[i].training);
        bool known = *p->part[i].licence && find_entry(table, p->part[i].licence, &name, &e);
        json_object_set_new(one, "known", json_boolean(known));
        if (known) {
            json_object_set_new(one, "excludes", words_json(&e.excludes));
            json_object_set_new(one, "commercial", json_boolean(e.commercial));
            if (e.revenue_limit_usd > 0) json_object_set_new(one, "revenue_limit_usd", json_real(e.revenue_limit_usd));
            if (e.clause) json_object_set_new(one, "clause", json_string(e.clause));
            if (e.uses) json_object_set_new(one, "uses", json_string(e.uses));
            json_object_set_new(one, "source", json_string(e.source));
            json_object_set_new(one, "date", json_string(e.date));
            clear_entry(&e);
        }
        json_array_append_new(all, one);
    }
    close_table(&table, &faults);
    return all;
}
