/* voices.c - `reelwright voices CAMPAIGN`: one page on which everything that a campaign says can be heard before the night. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/foreign.h"
#include "common/html.h"
#include "common/json_member.h"
#include "common/log.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/length.h"
#include "coordinator/verbs/verbs.h"

typedef struct { /* one text as it is said, and who gets it */
    char *spec;  /* JSON */
    int64_t row, count;
    double seconds;
    bool by_person;
    char *fault; /* NULL: it was spoken, or is not spoken here */
    UT_hash_handle hh;
} Said;

typedef struct {
    const char *folder;
    const Campaign *campaign;
    VoiceSay *say;
    Said *said; /* in the order of the rows */
    double shot_s;
    int most, shown, spoken, failed, long_ones, by_people;
} Voices;

static void gather(Voices *v)
{
    const Campaign *c = v->campaign;
    for (int64_t i = 0; i < c->clip_count; i++) {
        FinishSpec spec;
        Said *known;
        if (c->clip[i].refusal ||
            failed(finish_spec_read(c->finish, c->clip[i].finish ? c->clip[i].finish : "", &spec)))
            continue;
        const json_t *voice = finish_spec_get(&spec, "voice");
        char *text = voice ? json_dumps(voice, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        finish_spec_clear(&spec);
        if (!text) continue;
        HASH_FIND_STR(v->said, text, known);
        if (known) {
            known->count++;
            free(text);
            continue;
        }
        Said *fresh = memory_get(1, sizeof *fresh);
        *fresh = (Said){.spec = text, .row = i, .count = 1};
        HASH_ADD_KEYPTR(hh, v->said, fresh->spec, strlen(fresh->spec), fresh);
    }
}

/* A person's own voice is given to an engine in the night alone, where their consent is looked at. */
static bool said_by_person(const char *text)
{
    json_t *spec = json_loads(text, 0, NULL);
    const bool is = strcmp(member_text(spec, "voice", ""), "cameo") == 0 && !*member_text(spec, "file", "");
    json_decref(spec);
    return is;
}

static void speak_one(Voices *v, Said *s)
{
    char *path = text_format("%s/%d.wav", v->folder, v->shown);
    Status status = v->say(s->spec, path, &s->seconds);
    if (failed(status)) s->fault = text_copy(status.message);
    v->spoken += !s->fault;
    v->failed += s->fault != NULL;
    free(path);
}

static void speak(Voices *v)
{
    for (Said *s = v->said; s && v->shown < v->most; s = s->hh.next) {
        v->shown++;
        s->by_person = said_by_person(s->spec);
        if (s->by_person)
            v->by_people++;
        else
            speak_one(v, s);
    }
}

static void put_row(Voices *v, const Said *s, int number, FILE *f)
{
    const Campaign *c = v->campaign;
    json_t *spec = json_loads(s->spec, 0, NULL);
    const json_t *at = json_object_get(spec, "at");
    const double room =
        v->shot_s - (json_is_number(at) ? json_number_value(at) : 0.3) - 0.1; /* its begin, and a moment of rest */
    const bool is_long = !s->fault && s->seconds > room;
    v->long_ones += is_long;
    fprintf(f, "<tr><td>");
    html_put_apart(f, c->clip[s->row].clip_id);
    if (s->count > 1) fprintf(f, " and %lld more", (long long)s->count - 1);
    fprintf(f, "<td>");
    html_put(f, member_text(spec, "language", ""));
    fprintf(f, "<td dir=auto>");
    html_put(f, member_filled(spec, "text", member_text(spec, "ssml", "")));
    if (s->by_person) {
        fprintf(f, "<td colspan=2>spoken in the night only, with this person's own voice");
    } else if (s->fault) {
        fprintf(f, "<td class=bad colspan=2>");
        html_put(f, s->fault);
    } else {
        fprintf(f, "<td%s>%.1f s", is_long ? " class=bad" : "", s->seconds);
        if (is_long) fprintf(f, ", room for %.1f s", room);
        fprintf(f, "<td><audio controls preload=none src=%d.wav></audio>", number);
    }
    fprintf(f, "\n");
    json_decref(spec);
}

static void put_page(Voices *v, FILE *f)
{
    int number = 0;
    fprintf(
        f,
        "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Voices</title>\n"
        "<style>body{overflow-wrap:break-word;font:16px/1.4 system-ui,sans-serif;margin:2em "
        "auto;max-width:70em;padding:0 "
        "1em}table{border-collapse:collapse;"
        "width:100%%}td,th{text-align:left;padding:.4em .8em;border-bottom:1px solid "
        "#ccc}.bad{color:#b00020;font-weight:600}</style>\n<h1>");
    html_put(f, v->campaign->name);
    fprintf(f,
            "</h1>\n<p>Everything that is said, once. The clips last %.3g s. What takes longer than its clip "
            "has room for is marked; voice.too_long says what becomes of it.\n"
            "<table><tr><th>row<th>language<th>text<th>length<th>\n",
            v->shot_s);
    for (const Said *s = v->said; s && number < v->shown; s = s->hh.next) put_row(v, s, ++number, f);
    fprintf(f, "</table>\n");
    if ((int)HASH_COUNT(v->said) > number)
        fprintf(f, "<p>and %d more text%s; --most says how many are spoken\n", (int)HASH_COUNT(v->said) - number,
                plural_s((int)HASH_COUNT(v->said) - number));
}

/* The page holds what people are told: for its owner only. */
static Status write_page(Voices *v)
{
    char *text = NULL, *path = path_join(v->folder, "index.html");
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) abort();
    put_page(v, f);
    fclose(f);
    Status status = file_replace(path, text, bytes);
    if (!failed(status)) chmod(path, 0600);
    free(text);
    free(path);
    return status;
}

static Status make_all(Voices *v)
{
    gather(v);
    if (!v->said) return status_fail(ERR_INPUT, "this campaign says nothing: it has no `voice`");
    TRY(file_make_folders(v->folder));
    if (chmod(v->folder, 0700) != 0) return status_errno(ERR_NODE, "cannot write %s", v->folder);
    speak(v);
    TRY(write_page(v));
    foreign_print(stdout, "%d text%s spoken, %d failed, %d longer than the clip has room for: open %s/index.html\n",
                  v->spoken, plural_s(v->spoken), v->failed, v->long_ones, v->folder);
    if (v->by_people)
        foreign_print(stdout, "%d text%s not spoken: a person's own voice is used in the night only\n", v->by_people,
                      plural_s(v->by_people));
    return v->failed ? status_fail(ERR_CLIP, "%d text%s could not be spoken; the page says why", v->failed,
                                   plural_s(v->failed))
                     : status_ok();
}

Status verb_voices(int argc, char **argv, VoiceSay *say)
{
    int first, most = 500;
    const char *folder = "voices";
    const Option option[] = {
        {"out", OPTION_TEXT, &folder, "DIR", .help = "folder for the page and its sounds; default voices"},
        {"most", OPTION_INT, &most, "N", 1, 100000, .help = "texts to speak; default 500"}};
    const Usage usage = {.verb = "voices",
                         .arguments = "CAMPAIGN.yaml [--out DIR]",
                         .about = "One page on which every distinct text of a campaign can be heard, with its length.",
                         .option = option,
                         .option_count = 2,
                         .min_arguments = 1,
                         .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Campaign *c = NULL;
    finish_keys_use(NULL); /* what is too long shall be heard, too */
    TRY(campaign_load(argv[first], &c));
    Voices v = {.folder = folder, .campaign = c, .say = say, .most = most, .shot_s = campaign_longest_s(&c->base)};
    Status status = make_all(&v);
    Said *s, *next;
    HASH_ITER(hh, v.said, s, next)
    {
        HASH_DEL(v.said, s);
        free(s->spec);
        free(s->fault);
        free(s);
    }
    campaign_free(&c);
    return status;
}
