/* finish_look_voice.c - which voices are tried before the night, and how. */
#include <math.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"
#include "common/moment.h"
#include "worker/finish/finish_look_parts.h"
#include "worker/finish/voice.h"

static const double SLOWEST_S = 0.1; /* of a character: ten a second is slow speech */
static const double TRY_S = 20;      /* an engine may have a model to load first */

const char finish_look_open_end[] =
    "the file does not say how long it is (raw AAC, a stream that was recorded, some telephones' Ogg), so that one "
    "which was cut short is taken as it is; listen to its end, or export it as WAV, FLAC or MP4";

static const char *without_member(const char *message)
{
    static const char member[] = "voice: ";
    return strncmp(message, member, sizeof member - 1) == 0 ? message + sizeof member - 1 : message;
}

static bool is_by_command(const json_t *voice)
{
    const char *engine = member_text(voice, "engine", "");
    return *engine && strcmp(engine, "espeak") != 0;
}

SaidBy finish_look_said_by(const json_t *voice)
{
    if (strcmp(member_text(voice, "voice", ""), "cameo") == 0 && !*member_text(voice, "file", "")) return BY_PERSON;
    return is_by_command(voice) ? BY_COMMAND : BY_US;
}

/* Programs and scripts that a command names by their paths. */
static void add_command(Hash *key, const char *command)
{
    char *copy = text_copy(command), *rest = NULL;
    for (char *word = strtok_r(copy, " \t\"'", &rest); word; word = strtok_r(NULL, " \t\"'", &rest))
        finish_look_key_file(key, word);
    free(copy);
}

/* Where a text surely fits, an engine is only tried, once for each language and voice: espeak may have none of that name, and a command may be
 * wrong. */
static void add_try(Look *l, int64_t clip, const json_t *voice)
{
    static const char *const part[] = {"engine", "language", "voice"};
    Hash *key = finish_look_key(l, "try");
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        finish_look_key_document(key, part[i], json_object_get(voice, part[i]));
    add_command(key, member_text(voice, "engine", ""));
    finish_look_unit(l, key, clip, INT32_MAX, true)->is_try = true;
}

void finish_look_add_voice(Look *l, int64_t clip, const json_t *voice)
{
    const char *said = member_filled(voice, "text", member_text(voice, "ssml", ""));
    const bool recorded = *member_text(voice, "file", "") != 0;
    if (!voice) return;
    const double room = voice_room_s(voice, l->job->shot_s);
    if (room <= 0) return finish_look_fault(l, clip, "voice", "voice.at is beyond the clip's end");
    if (!recorded && !l->voice && text_letters(said) * SLOWEST_S <= room) return add_try(l, clip, voice);
    Hash *key = finish_look_key(l, "voice");
    finish_look_key_document(key, "voice", voice);
    finish_look_key_file(key, member_text(voice, "file", ""));
    add_command(key, member_text(voice, "engine", ""));
    Unit *u = finish_look_unit(l, key, clip, recorded ? INT32_MAX : text_letters(said), true);
    if (l->voice) l->voice[clip] = u;
}

/* What a command is tried with: no customer's text, which it may fail on by itself, or send elsewhere; and less time, for `check` is waited
 * for. free() by json_decref. */
static json_t *make_try(const json_t *voice)
{
    static const char *const own[] = {"ssml", "phonetic", "lexicon"};
    json_t *o = json_copy((json_t *)(uintptr_t)voice);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) json_object_del(o, own[i]);
    json_object_set_new(o, "text", json_string("1, 2, 3"));
    if (json_number_value(json_object_get(voice, "time_limit")) > TRY_S)
        json_object_set_new(o, "time_limit", json_real(TRY_S));
    if (json_integer_value(json_object_get(voice, "retries")) > 1) json_object_set_new(o, "retries", json_integer(1));
    return o;
}

static void try_command(Look *l, Unit *u, const json_t *voice)
{
    const double limit_s = json_number_value(json_object_get(voice, "time_limit")), start_s = moment_s();
    json_t *spec = make_try(voice);
    Voice v;
    Status status = voice_make(spec, NULL, &v);
    if (failed(status) && limit_s > TRY_S && moment_s() - start_s >= TRY_S) {
        u->is_noted = true;
        finish_look_note(l, u->clip, "voice.engine", "it did not say \"1, 2, 3\" within 20 s, so it was not tried", 0);
    } else if (failed(status)) {
        char *message = text_format("asked for \"1, 2, 3\", it failed: %s", without_member(status.message));
        finish_look_fault(l, u->clip, "voice.engine", message);
        free(message);
    }
    voice_clear(&v);
    json_decref(spec);
}

void finish_look_at_voice(Look *l, Unit *u, const json_t *voice)
{
    const int fps = l->job->follows_fps;
    double over;
    Voice v;
    if (u->is_try && is_by_command(voice)) return try_command(l, u, voice);
    Status status = voice_make(voice, NULL, &v);
    if (!failed(status) && v.sound.open_end && *member_text(voice, "file", "")) {
        u->is_noted = true;
        finish_look_note(l, u->clip, "voice.file", finish_look_open_end, 0);
    }
    if (!failed(status))
        status = fps ? voice_follow(&v, voice, fps, (int)(l->job->shot_s * fps + 0.5), &u->frames)
                     : voice_fit(&v, voice, voice_room_s(voice, l->job->shot_s), &over);
    voice_clear(&v);
    if (failed(status))
        finish_look_fault(l, u->clip, u->is_try ? "voice.language" : "voice", without_member(status.message));
}
