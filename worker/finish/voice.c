#include "voice.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/command.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json_member.h"
#include "common/place.h"
#include "common/shell.h"
#include "worker/finish/spoken.h"
#include "worker/finish/tempo.h"
#include "worker/finish/words.h"

static const double FASTEST = 1.15; /* more is heard as haste */
static const double TAIL_S = 0.1;   /* between the last word and the clip's end */

double voice_begin_s(const json_t *spec) { return member_number(spec, "at", 0.3); }
double voice_room_s(const json_t *spec, double shot_s) { return shot_s - voice_begin_s(spec) - TAIL_S; }

Status voice_follow(const Voice *v, const json_t *spec, int fps, int most, int *frames)
{
    const double length = sound_seconds(&v->sound), end_s = voice_begin_s(spec) + length + TAIL_S;
    if (end_s * fps > most)
        return status_fail(
            ERR_CLIP,
            "voice: the clip would take %.2f s, expected at most %.2f s: shorten the text, or give a greater "
            "voice.longest",
            end_s, (double)most / fps);
    *frames = (int)(end_s * fps);
    while (voice_room_s(spec, (double)*frames / fps) < length)
        ++*frames; /* voice_fit's own sums: it then changes nothing */
    return status_ok();
}

void voice_clear(Voice *v)
{
    sound_clear(&v->sound);
    for (int i = 0; i < v->word_count; i++) free(v->word[i].text);
    free(v->word);
    json_decref(v->report);
    *v = (Voice){0};
}

/* ---- what an engine is told -------------------------------------------------------------------------------------------- */

/* Beside the program, or one folder up, where tests run. free() it; NULL: it was not built. */
static char *espeak_command(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *found = NULL;
    self[n > 0 ? n : 0] = 0;
    char *folder = path_folder(self);
    for (int i = 0; i < 3 && !found; i++) {
        char *path = path_join(folder, "reelwright-espeak"), *up = path_folder(folder);
        if (access(path, X_OK) == 0) found = shell_quote(path);
        free(path);
        free(folder);
        folder = up;
    }
    free(folder);
    return found;
}

static json_t *make_order(const json_t *spec)
{
    static const char *const handed[] = {"ssml", "voice", "voice_ref", "voice_sha256", "consent", "seed", "rate"};
    const char *language = member_filled(spec, "language", "en"), *phonetic = member_filled(spec, "phonetic", NULL);
    char *spoken = phonetic ? text_copy(phonetic) : spoken_text(member_filled(spec, "text", ""), language);
    json_t *order = json_pack("{s:s,s:s}", "text", spoken, "lang", language),
           *lexicon = json_object_get(spec, "lexicon");
    free(spoken);
    json_object_set_new(order, "lexicon", lexicon ? json_incref(lexicon) : json_array());
    for (size_t i = 0; i < sizeof handed / sizeof *handed; i++) {
        json_t *value = json_object_get(spec, handed[i]);
        if (value && !(phonetic && strcmp(handed[i], "ssml") == 0)) json_object_set(order, handed[i], value);
    }
    return order;
}

/* ---- what it answers ---------------------------------------------------------------------------------------------------- */

/* The last line of stderr that is a JSON object, or the file of times. NULL: none. */
static json_t *read_report(const char *times, const char *err)
{
    json_t *report = json_load_file(times, 0, NULL);
    if (json_is_object(report)) return report;
    json_decref(report);
    const char *line = strrchr(err, '\n');
    while (line && line[1] != '{') {
        const char *before = line;
        line = NULL;
        for (const char *p = err; p < before; p++)
            if (*p == '\n') line = p;
    }
    report = json_loads(line ? line + 1 : err, JSON_DISABLE_EOF_CHECK, NULL);
    if (json_is_object(report)) return report;
    json_decref(report);
    return NULL;
}

static Status check_report(const json_t *order, const json_t *report)
{
    const json_t *wanted = json_object_get(order, "consent");
    if (!wanted || json_equal(wanted, json_object_get(report, "consent"))) return status_ok();
    return status_fail(ERR_CLIP,
                       "the engine does not echo the consent's number, so that nothing shows whose voice it used");
}

/* Runs the engine once; its files are path.wav and, of its times, path.json. */
static Status run_engine(const json_t *spec, const char *command, const json_t *order, const char *wav,
                         const char *json)
{
    char *input = json_dumps(order, JSON_COMPACT), *times = text_format("%s.times", json), *report_text = NULL;
    Command c = {.command = command,
                 .input = input,
                 .variable = "REELWRIGHT_VOICE_TIMES",
                 .value = times,
                 .limit_s = member_number(spec, "time_limit", 60),
                 .most_bytes = (size_t)VOICE_MOST_MB << 20};
    CommandAnswer a;
    json_t *report = NULL;
    Status status = command_run(&c, &a);
    if (failed(status)) goto out;
    if (a.out_bytes < 12 || memcmp(a.out, "RIFF", 4) != 0)
        TRY_OUT(status_fail(ERR_RETRY, "it wrote %zu bytes that are no WAV file", a.out_bytes));
    report = read_report(times, a.err);
    TRY_OUT(check_report(order, report));
    report_text = report ? json_dumps(report, JSON_COMPACT) : text_copy("{}");
    TRY_OUT(file_replace(json, report_text, strlen(report_text)));
    status = file_replace(wav, a.out, a.out_bytes); /* last: the cache has an entry when this file is there */
out:
    command_clear(&a);
    unlink(times);
    json_decref(report);
    free(report_text);
    free(times);
    free(input);
    return status;
}

/* Letters or digits, not only emoji (U+2000 to U+2FFF, U+10000 and more), spaces and points. */
static bool has_letters(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (isalnum(*p) || (*p >= 0xC3 && *p <= 0xED && *p != 0xE2)) return true;
    return false;
}

/* A WAV file that cannot be read, or in which nothing is heard, is the engine's fault as a failure is. */
static Status engine_sound(const json_t *spec, const char *command, const json_t *order, const char *wav,
                           const char *json, Sound *out)
{
    int retries = (int)member_number(spec, "retries", 2);
    Status status = status_ok();
    for (int attempt = 0; attempt <= retries; attempt++) {
        status = run_engine(spec, command, order, wav, json);
        if (!failed(status)) {
            status = sound_read(wav, out);
            const bool silent =
                !failed(status) && has_letters(member_filled(order, "text", "")) && sound_is_silent(out);
            if (!failed(status) && !silent) return status;
            if (silent) status = status_fail(ERR_RETRY, "nothing is to be heard in its sound");
            sound_clear(out);
            unlink(wav);
        }
        if (status.err != ERR_RETRY && status.err != ERR_INPUT) break;
    }
    return status_fail(status.err == ERR_NODE ? ERR_NODE : ERR_CLIP, "the engine: %s", status.message);
}

/* ---- making one ------------------------------------------------------------------------------------------------------------ */

/* What is silent at the end says nothing, and takes room in the clip. */
static void trim_end(Sound *s)
{
    while (s->count > SOUND_RATE / 20 && fabsf(s->sample[2 * s->count - 2]) < 1e-3f &&
           fabsf(s->sample[2 * s->count - 1]) < 1e-3f)
        s->count--;
}

static void set_words(const json_t *spec, const char *json, Voice *v)
{
    json_t *report = json ? json_load_file(json, 0, NULL) : NULL;
    const char *ssml = member_filled(spec, "ssml", NULL), *plain = member_filled(spec, "text", NULL);
    char *text = plain ? text_copy(plain) : words_of_ssml(ssml ? ssml : "");
    words_set(v, text, json_object_get(report, "words"));
    if (report) json_object_del(report, "words");
    v->report = report;
    free(text);
}

/* From PLACE.wav and PLACE.json, made by the engine where they are not there (order NULL: it is not asked). */
static Status from_place(const json_t *spec, const json_t *order, const char *place, Voice *out)
{
    const char *engine = member_filled(spec, "engine", "espeak");
    char *wav = text_format("%s.wav", place), *json = text_format("%s.json", place);
    const bool there = file_exists(wav) && !failed(sound_read(wav, &out->sound));
    char *command = there || !order ? NULL : strcmp(engine, "espeak") == 0 ? espeak_command() : text_copy(engine);
    Status status = status_ok();
    if (command)
        status = engine_sound(spec, command, order, wav, json, &out->sound);
    else if (!there)
        status = order ? status_fail(ERR_NODE, "no reelwright-espeak beside the program: apt-get install "
                                               "libespeak-ng-dev, and build again")
                       : status_fail(ERR_RETRY, "the sound that the shot was made with is gone");
    if (!failed(status)) trim_end(&out->sound);
    if (!failed(status)) set_words(spec, json, out);
    free(command);
    free(json);
    free(wav);
    return status;
}

/* In the cache it is called by all that the engine was told. */
static Status from_cache(const json_t *spec, const json_t *order, const char *cache, Voice *out)
{
    char key[HASH_TEXT], *told = json_dumps(order, JSON_COMPACT | JSON_SORT_KEYS);
    Hash *hash = hash_begin();
    hash_add_field(hash, "engine", "%s", member_filled(spec, "engine", "espeak"));
    hash_add_field(hash, "order", "%s", told);
    hash_end(hash, key);
    char *place = path_join(cache, key);
    Status status = file_make_folders(cache);
    chmod(cache, 0700); /* what is said to people */
    if (!failed(status)) status = from_place(spec, order, place, out);
    free(place);
    free(told);
    return status;
}

typedef struct { /* where what an engine says is kept: one of them, or neither */
    const char *cache, *place;
    bool ask; /* the engine, where it is not there */
} Keep;

static Status by_engine(const json_t *spec, const Keep *keep, Voice *out)
{
    char folder[PLACE_BYTES];
    int lock = -1;
    json_t *order = make_order(spec);
    const bool passing = !keep->cache && !keep->place;
    Status status = passing ? place_make(folder, &lock) : status_ok();
    if (!failed(status))
        status = keep->place ? from_place(spec, keep->ask ? order : NULL, keep->place, out)
                             : from_cache(spec, order, keep->cache ? keep->cache : folder, out);
    if (passing && lock >= 0) file_remove_tree(folder), close(lock);
    json_decref(order);
    return status;
}

/* A recording is read where it lies; lips that followed another one would not fit this. */
static Status by_file(const json_t *spec, const char *file, Voice *out)
{
    const char *known = member_filled(spec, "sha256", NULL);
    char sha256[HASH_TEXT];
    if (known) TRY(hash_file(file, sha256));
    if (known && strcmp(known, sha256) != 0)
        return status_fail(ERR_CLIP,
                           "the recording has changed since it was planned (SHA-256 %.12s, expected %.12s); put the "
                           "old one back, or take the new one with `reelwright run CAMPAIGN --out DIR --update`",
                           sha256, known);
    TRY(sound_read(file, &out->sound));
    if (sound_is_silent(&out->sound))
        return status_fail(ERR_CLIP, "%s: nothing is to be heard in it (all is below -60 dBFS); record it again%s",
                           file,
                           known ? ", for this model speaks in every clip"
                                 : ", or leave the row's file empty where nothing shall be said");
    set_words(spec, NULL, out);
    return status_ok();
}

static Status make(const json_t *spec, const Keep *keep, Voice *out)
{
    const char *file = member_filled(spec, "file", NULL), *text = member_filled(spec, "text", ""),
               *ssml = member_filled(spec, "ssml", "");
    *out = (Voice){0};
    Status status = status_ok();
    if (strlen(text) > VOICE_MAX_BYTES || strlen(ssml) > VOICE_MAX_BYTES)
        status = status_fail(ERR_CLIP, "a text of %zu bytes, expected at most %d", strlen(text), VOICE_MAX_BYTES);
    else if (file)
        status = by_file(spec, file, out);
    else if (!text_is_blank(text) || !text_is_blank(ssml))
        status = by_engine(spec, keep, out);
    if (failed(status)) voice_clear(out);
    return status_at(status, "voice");
}

Status voice_make(const json_t *spec, const char *cache, Voice *out)
{
    return make(spec, &(Keep){.cache = cache}, out);
}

Status voice_make_at(const json_t *spec, const char *place, Voice *out)
{
    return make(spec, &(Keep){.place = place, .ask = true}, out);
}

Status voice_read_at(const json_t *spec, const char *place, Voice *out)
{
    return make(spec, &(Keep){.place = place}, out);
}

bool voice_is_at(const json_t *spec, const char *place)
{
    char *wav = text_format("%s.wav", place);
    const bool is = member_filled(spec, "file", NULL) || file_exists(wav);
    free(wav);
    return is;
}

Status voice_fit(Voice *v, const json_t *spec, double room_s, double *over_s)
{
    const char *policy = member_filled(spec, "too_long", "faster");
    double length = sound_seconds(&v->sound), factor = room_s > 0 ? length / room_s : 1e9;
    *over_s = 0;
    if (length <= room_s) return status_ok();
    bool hold = strcmp(policy, "hold") == 0;
    if (strcmp(policy, "refuse") == 0 || (!hold && factor > FASTEST))
        return status_fail(
            ERR_CLIP,
            "voice: it takes %.2f s, the clip has room for %.2f s (up to %.2f s it is spoken faster, "
            "unless too_long is refuse): "
            "shorten the text, give more frames, or hold the last one (too_long: hold; not with a model that speaks)",
            length, room_s, room_s * FASTEST);
    factor = fmin(factor * 1.002, FASTEST);
    TRY(tempo_change(&v->sound, factor));
    for (int i = 0; i < v->word_count; i++) {
        v->word[i].from_s /= factor;
        v->word[i].to_s /= factor;
    }
    *over_s = fmax(0, sound_seconds(&v->sound) - room_s);
    return status_ok();
}
