/* dossier_page.c - the dossier as a page that can be printed: one table for each part of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/html.h"
#include "common/json_member.h"
#include "coordinator/deliver/dossier.h"
#include "trust/chain.h"

static const char head[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
    "<title>Dossier</title><style>body{overflow-wrap:break-word;font:15px/1.5 system-ui,sans-serif;margin:2em "
    "auto;max-width:72em;padding:0 "
    "1em;color:#1c1c1c}"
    "h1{margin-bottom:0}h2{margin-top:2em;border-bottom:1px solid #999}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.3em .6em;border-bottom:1px solid "
    "#ddd}th{background:#f2f2f2}"
    "code{font-size:85%;overflow-wrap:anywhere}.bad{color:#a00000;font-weight:600}@media "
    "print{h2{break-after:avoid}}</style>";

/* Hashes are broken anywhere, words nowhere. */
static void put_text(FILE *f, const char *text)
{
    const bool hash = strlen(text) >= 24 && strspn(text, "0123456789abcdef") == strlen(text);
    if (hash) fputs("<code>", f);
    html_put(f, text);
    if (hash) fputs("</code>", f);
}

/* Any value, in words: lists with commas, yes and no. none: what an empty list means. */
static void put_value(FILE *f, const json_t *v, const char *none)
{
    size_t i, count = 0;
    json_t *item;
    const char *key;
    if (json_is_string(v))
        put_text(f, json_string_value(v));
    else if (json_is_boolean(v))
        fputs(json_is_true(v) ? "yes" : "no", f);
    else if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            if (i) fputs(", ", f);
            put_value(f, item, none);
        }
        if (json_array_size(v) == 0) fputs(none, f);
    } else if (json_is_object(v)) {
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            if (count++) fputs("; ", f);
            html_put(f, key);
            fputs(json_is_object(item) ? " (" : ": ", f);
            put_value(f, item, none);
            if (json_is_object(item)) fputs(")", f);
        }
    } else if (v && !json_is_null(v)) {
        char *text = json_dumps(v, JSON_ENCODE_ANY);
        html_put(f, text ? text : "");
        free(text);
    }
}

typedef struct {
    const char *title, *key;
} Column;

/* What an empty list of this key means. */
static const char *none_of(const char *key)
{
    static const Column meaning[] = {{"any", "campaigns"},        {"any", "brands"},
                                     {"anywhere", "territories"}, {"nothing", "accepted"},
                                     {"not said", "audience"},    {"no place is known", "excludes"}};
    for (size_t i = 0; i < sizeof meaning / sizeof *meaning; i++)
        if (strcmp(meaning[i].key, key) == 0) return meaning[i].title;
    return "none";
}

static void put_table(FILE *f, const json_t *rows, const Column *column)
{
    size_t i;
    json_t *row;
    fputs("<table><tr>", f);
    for (const Column *c = column; c->title; c++) fprintf(f, "<th>%s", c->title);
    json_array_foreach(rows, i, row)
    {
        fputs("<tr>", f);
        for (const Column *c = column; c->title; c++) {
            fputs("<td>", f);
            put_value(f, json_object_get(row, c->key), none_of(c->key));
        }
    }
    fputs("</table>\n", f);
    if (json_array_size(rows) == 0) fputs("<p>None.\n", f);
}

static void put_pairs(FILE *f, const json_t *o, const Column *column)
{
    fputs("<table>", f);
    for (const Column *c = column; c->title; c++) {
        const json_t *v = json_object_get(o, c->key);
        if (!v) continue;
        fprintf(f, "<tr><th>%s<td>", c->title);
        put_value(f, v, none_of(c->key));
    }
    fputs("</table>\n", f);
}

static void put_model(FILE *f, const json_t *model)
{
    fputs("<h2>Model</h2>\n", f);
    put_pairs(f, model,
              (const Column[]){{"Name", "name"},
                               {"SHA-256", "sha256"},
                               {"Its folder is there", "there"},
                               {"Made in", "operator_territory"},
                               {"Operator's revenue, USD", "operator_revenue_usd"},
                               {"Shown in", "audience"},
                               {"Accepted in spite of doubts", "accepted"},
                               {"because", "accepted_because"},
                               {0}});
    fputs("<h3>Its parts</h3>\n", f);
    put_table(f, json_object_get(model, "parts"),
              (const Column[]){{"Part", "part"},
                               {"Of rows", "rows"},
                               {"Licence", "licence"},
                               {"Says", "from"},
                               {"Known", "known"},
                               {"Gives no rights in", "excludes"},
                               {"Clause", "clause"},
                               {"Training data", "training_data"},
                               {0}});
}

static void put_people(FILE *f, const json_t *likeness)
{
    size_t i;
    json_t *p;
    fputs("<h2>People</h2>\n", f);
    if (*member_text(likeness, "why", "")) {
        fputs("<p class=bad>The trust store cannot be read: ", f);
        html_put(f, member_text(likeness, "why", ""));
    }
    json_array_foreach(json_object_get(likeness, "people"), i, p)
    {
        fputs("<h3>", f);
        html_put(f, member_text(p, "id", ""));
        fputs("</h3>\n", f);
        put_pairs(f, p,
                  (const Column[]){{"Verified by", "verified_by"},
                                   {"Verified at", "verified_at"},
                                   {"Minor", "minor"},
                                   {"Public figure", "public_figure"},
                                   {"Not readable", "why"},
                                   {0}});
        put_table(f, json_object_get(p, "consents"),
                  (const Column[]){{"No.", "number"},
                                   {"Now", "state_now"},
                                   {"For", "purpose"},
                                   {"Campaigns", "campaigns"},
                                   {"Brands", "brands"},
                                   {"Shown to", "audience"},
                                   {"Where", "territories"},
                                   {"Face", "face"},
                                   {"Voice", "voice"},
                                   {"Granted", "granted_at"},
                                   {"Until", "until"},
                                   {"Revoked", "revoked_at"},
                                   {"Document", "document_sha256"},
                                   {0}});
    }
    if (json_array_size(json_object_get(likeness, "people")) == 0)
        fputs("<p>No clip shows a real person by a cameo.\n", f);
}

static char *make_page(const json_t *d, size_t *bytes)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, bytes);
    if (!f) abort();
    const json_t *audit = json_object_get(d, "audit");
    fputs(head, f);
    fputs("<h1>", f);
    html_put(f, member_text(d, "campaign", ""));
    fputs("</h1>\n", f);
    put_pairs(f, d,
              (const Column[]){{"Made", "made_at"},
                               {"Planned", "planned_at"},
                               {"Fingerprint", "fingerprint"},
                               {"Figures", "figures"},
                               {0}});
    put_model(f, json_object_get(d, "model"));
    put_people(f, json_object_get(d, "likeness"));
    const char *chain = member_text(audit, "chain", "");
    const bool good = strcmp(chain, "whole") == 0 || strcmp(chain, "absent") == 0;
    fprintf(f, "<h2>Decisions</h2>\n<p%s>The chain of the record is %s%s. ", good ? "" : " class=bad", chain,
            json_is_true(json_object_get(audit, "sealed")) ? " and sealed with the campaign's key" : "");
    html_put(f, member_text(audit, "why", ""));
    fputs("\n", f);
    put_table(f, json_object_get(audit, "decisions"),
              (const Column[]){{"When", "at"},
                               {"What", "what"},
                               {"Clip", "clip"},
                               {"By", "by"},
                               {"Consent", "consent"},
                               {"Was", "was"},
                               {"File", "sha256"},
                               {0}});
    fputs("<h2>Clips</h2>\n", f);
    put_table(f, json_object_get(d, "clips"),
              (const Column[]){{"Clip", "clip"},
                               {"State", "state"},
                               {"Why", "reason"},
                               {"Whose likeness, what for, for whom", "cameo"},
                               {"Consent", "consent"},
                               {"Reviewer", "reviewer"},
                               {"Decided", "decided_at"},
                               {"Label", "label"},
                               {"Seed", "seed"},
                               {"Prompt", "prompt_sha256"},
                               {"File", "sha256"},
                               {0}});
    if (fclose(f) != 0) abort();
    return text;
}

Status dossier_write(const char *folder, const json_t *dossier)
{
    size_t bytes;
    char *page = make_page(dossier, &bytes), *html = path_join(folder, "dossier.html"),
         *json = path_join(folder, "dossier.json"), *text = json_dumps(dossier, JSON_INDENT(1));
    if (!text) abort();
    Status status = trust_publish(html, page, bytes);
    if (!failed(status)) status = trust_publish(json, text, strlen(text));
    free(text);
    free(json);
    free(html);
    free(page);
    return status;
}
