#include "landing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/html.h"
#include "common/options.h"
#include "common/page.h"
#include "coordinator/campaign/landing_place.h"

typedef struct { /* a variable of the page, at one of its places */
    Template *text;
    LandingPlace place;
    int line;
} Value;

struct Landing {
    CampaignLoad *l;
    char *file;
    json_t *parts;
    int value_count;
    Value value[LANDING_MAX_VALUES];
    bool has[PAGE_COUNT];
    LandingHtml html;
    int line; /* that is being read */
    char *text;
    size_t room;
};

static Place place_in(const Landing *p, int line) { return (Place){p->file, line, NULL}; }

/* ---- reading ---- */

static void add_literal(Landing *p, const char *text, size_t bytes)
{
    if (!bytes) return;
    json_array_append_new(p->parts, json_stringn(text, bytes));
    landing_html_pass(&p->html, text, bytes);
    for (size_t i = 0; i < bytes; i++) p->line += text[i] == '\n';
}

/* The name between "{{clip." and "}}"; NULL: the variable is a column. */
static char *own_name(const char *open, const char *end)
{
    const char *from = open + 2;
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    if (end - from < 5 || strncmp(from, "clip.", 5) != 0) return NULL;
    const char *to = end;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
    return text_format("%.*s", (int)(to - from - 5), from + 5);
}

static void unknown_own(Landing *p, const char *name)
{
    const char *known[PAGE_COUNT];
    char all[256] = "";
    for (int i = 0; i < PAGE_COUNT; i++) {
        const size_t n = strlen(all);
        known[i] = page_own[i].name;
        snprintf(all + n, sizeof all - n, "%sclip.%s", n ? ", " : "", known[i]);
    }
    const char *near = options_nearest(name, known, PAGE_COUNT);
    faults_add(p->l->faults, place_in(p, p->line), "no value clip.%.60s%s%s%s there are %s", name,
               near ? "; did you mean clip." : "", near ? near : "", near ? "?" : ";", all);
}

static void add_own(Landing *p, const char *name)
{
    bool markup;
    const char *why;
    const int i = page_own_find(name);
    if (i < 0) return unknown_own(p, name);
    const LandingPlace place = landing_html_place(&p->html, &markup, &why);
    if (place == LANDING_NOWHERE)
        faults_add(p->l->faults, place_in(p, p->line), "{{clip.%s}} %s; expected it between tags or quotes", name, why);
    else if (page_own[i].kind == PAGE_MARKUP && !markup)
        faults_add(p->l->faults, place_in(p, p->line), "{{clip.%s}} is an element; expected it between tags", name);
    p->has[i] = true;
    json_array_append_new(p->parts, json_pack("{s:s}", "clip", name));
}

/* from: "{{...}}" or what is left of its line when it does not end there, for the template's own complaint. */
static void add_column(Landing *p, const char *from, size_t bytes)
{
    bool markup;
    const char *why;
    char *text = text_format("%.*s", (int)bytes, from);
    const LandingPlace place = landing_html_place(&p->html, &markup, &why);
    if (place == LANDING_NOWHERE)
        faults_add(p->l->faults, place_in(p, p->line),
                   "%s stands %s, where no value is safe; expected it between tags or quotes", quoted(text).text, why);
    if (p->value_count == LANDING_MAX_VALUES) {
        faults_add(p->l->faults, place_in(p, p->line), "more than %d variables", LANDING_MAX_VALUES);
    } else {
        Template *t = template_new(text, &p->l->campaign->customers, place_in(p, p->line), p->l->faults);
        json_array_append_new(p->parts, json_integer(p->value_count));
        p->value[p->value_count++] = (Value){t, place, p->line};
    }
    free(text);
}

static void read_parts(Landing *p, const char *text)
{
    const char *from = text;
    for (const char *open; (open = strstr(from, "{{")) && p->value_count < LANDING_MAX_VALUES;) {
        if (open > from && open[-1] == '\\') { /* two literal braces, as in every template */
            add_literal(p, from, (size_t)(open - 1 - from));
            add_literal(p, "{{", 2);
            from = open + 2;
            continue;
        }
        add_literal(p, from, (size_t)(open - from));
        if (landing_html_is_comment(&p->html)) {
            add_literal(p, open, 2);
            from = open + 2;
            continue;
        }
        const size_t line = strcspn(open, "\n");
        const char *end = memmem(open, line, "}}", 2);
        char *own = end ? own_name(open, end) : NULL;
        if (own)
            add_own(p, own);
        else
            add_column(p, open, end ? (size_t)(end + 2 - open) : line);
        free(own);
        from = end ? end + 2 : open + line;
    }
    add_literal(p, from, strlen(from));
}

static void warn_of_file(void *self, const char *address)
{
    const Landing *p = self;
    faults_warn(
        p->l->faults, place_in(p, p->line), "",
        "%s is not delivered with the page; put it into the page (<style>, data:) or give a whole address, https://...",
        quoted(address).text);
}

static void warn_of_gaps(const Landing *p)
{
    const bool video = p->has[PAGE_player] || p->has[PAGE_video] || p->has[PAGE_gif];
    if (!video)
        faults_warn(p->l->faults, place_in(p, 0), "",
                    "it shows no video; {{clip.player}} is one with poster and captions");
    if (!p->has[PAGE_disclosure] && !p->has[PAGE_label])
        faults_warn(p->l->faults, place_in(p, 0), "",
                    "it does not say that AI made the video; {{clip.disclosure}} does");
}

static Status read_file(Landing *p, char **text)
{
    size_t bytes;
    TRY(file_read(p->file, LANDING_MAX_BYTES, text, &bytes));
    const int64_t bad = customers_bad_byte(*text, bytes);
    if (bad < 0) return status_ok();
    int line = 1;
    for (int64_t i = 0; i < bad; i++) line += (*text)[i] == '\n';
    return status_fail(ERR_INPUT, "%s:%d: no UTF-8 text", p->file, line);
}

Landing *landing_new(CampaignLoad *l)
{
    char *text = NULL;
    if (!l->file.page) return NULL;
    Landing *p = memory_get(1, sizeof *p);
    p->l = l;
    p->line = 1;
    p->file = path_join(l->campaign->folder, l->file.page);
    p->parts = json_array();
    p->html.file = warn_of_file;
    p->html.self = p;
    Status status = read_file(p, &text);
    if (failed(status)) {
        faults_add(l->faults, campaign_place(l, "page"), "%s", status.message);
    } else {
        read_parts(p, text);
        warn_of_gaps(p);
    }
    free(text);
    return p;
}

void landing_free(Landing **landing)
{
    Landing *p = *landing;
    if (!p) return;
    for (int i = 0; i < p->value_count; i++) template_free(&p->value[i].text);
    json_decref(p->parts);
    free(p->file);
    free(p->text);
    free(p);
    *landing = NULL;
}

/* ---- rows ---- */

/* Browsers leave control characters out of an address before they read its scheme. */
static bool is_address(const char *text)
{
    static const char *const good[] = {"http", "https", "mailto", "tel", "sms"};
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) return false;
    text += strspn(text, " ");
    const size_t n = strcspn(text, ":/?#");
    if (text[n] != ':') return true;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strlen(good[i]) == n && strncasecmp(text, good[i], n) == 0) return true;
    return false;
}

static Place value_place(const Landing *p, const Value *v, int64_t row)
{
    const Customers *c = &p->l->campaign->customers;
    const int column = template_first_column(v->text);
    return column < 0 ? place_in(p, v->line) : (Place){p->l->campaign->customers_file, c->line[row], c->column[column]};
}

void landing_check(Landing *p, int64_t row)
{
    if (!p) return;
    const Customers *c = &p->l->campaign->customers;
    for (int i = 0; i < p->value_count; i++) {
        const Value *v = &p->value[i];
        if (row > 0 && template_is_constant(v->text)) continue;
        const int missing = template_missing(v->text, c, row);
        if (missing >= 0) {
            faults_add(p->l->faults, value_place(p, v, row),
                       "empty, and %s:%d has no fallback; expected a value, or {{%.60s|...}} there", path_name(p->file),
                       v->line, c->column[missing]);
            continue;
        }
        template_expand(v->text, c, row, &p->text, &p->room);
        if (v->place == LANDING_URL && !is_address(p->text))
            faults_add(p->l->faults, value_place(p, v, row),
                       "%s as an address in %s:%d, expected https://..., mailto:, tel: or a path", quoted(p->text).text,
                       path_name(p->file), v->line);
    }
}

/* ---- documents ---- */

json_t *landing_document(const Landing *p) { return json_pack("{s:O}", "parts", p->parts); }

json_t *landing_values(Landing *p, int64_t row)
{
    if (!p || p->value_count == 0) return NULL;
    json_t *list = json_array();
    for (int i = 0; i < p->value_count; i++) {
        const Value *v = &p->value[i];
        char *text = NULL;
        size_t bytes;
        template_expand(v->text, &p->l->campaign->customers, row, &p->text, &p->room);
        FILE *f = open_memstream(&text, &bytes);
        if (!f) abort();
        if (v->place == LANDING_URL_PART)
            html_put_address(f, p->text);
        else
            html_put(f, p->text);
        if (fclose(f) != 0) abort();
        json_array_append_new(list, json_string(text));
        free(text);
    }
    return list;
}

const Template *landing_template(const Landing *p, int i) { return p && i < p->value_count ? p->value[i].text : NULL; }
