/* espeak_voice.c - `reelwright-espeak`: espeak-ng as a voice engine, a program of its own, because espeak-ng is GPL-3 and so is a
 * program that is linked with it. It speaks to Reelwright as any engine does (worker/finish/voice.h):
 *
 *   stdin   {"text", "ssml", "lang", "voice", "lexicon": [{"word", "say"}], ...}: one JSON object
 *   stdout  WAV, 16 bits, one channel
 *   stderr  {"words": [{"t0", "t1", "text"}], "engine", "version", "licences"}: seconds from the beginning
 *
 * A lexicon's "say" in [[double brackets]] is espeak's own phonemes, else it is read as it is written. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <espeak-ng/speak_lib.h>
#include <jansson.h>

static struct {
    int16_t *sample;
    size_t count, room;
    struct {
        int at_ms, position, length; /* characters, from 1 */
    } word[20000];
    int words;
} heard;

enum { MAX_WORDS = sizeof heard.word / sizeof *heard.word };

static int take(short *wav, int count, espeak_EVENT *event)
{
    for (; event && event->type != espeakEVENT_LIST_TERMINATED; event++)
        if (event->type == espeakEVENT_WORD && heard.words < MAX_WORDS) {
            heard.word[heard.words].at_ms = event->audio_position;
            heard.word[heard.words].position = event->text_position;
            heard.word[heard.words++].length = event->length;
        }
    if (!wav || count <= 0) return 0;
    if (heard.count + (size_t)count > heard.room) {
        heard.room = 2 * (heard.count + (size_t)count);
        heard.sample = realloc(heard.sample, heard.room * sizeof *heard.sample);
        if (!heard.sample) abort();
    }
    memcpy(heard.sample + heard.count, wav, (size_t)count * sizeof *wav);
    heard.count += (size_t)count;
    return 0;
}

static bool is_letter(const char *p)
{
    return (*p & 0x80) || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
}

/* The first entry whose word stands at `at` as a whole word. */
static const json_t *entry_at(const json_t *lexicon, const char *text, const char *at)
{
    size_t i, most = 0;
    json_t *entry;
    const json_t *found = NULL;
    if (at > text && is_letter(at - 1)) return NULL;
    json_array_foreach(lexicon, i, entry)
    {
        const char *word = json_string_value(json_object_get(entry, "word"));
        size_t n = word ? strlen(word) : 0;
        if (n > most && strncmp(at, word, n) == 0 && !is_letter(at + n)) {
            found = entry;
            most = n;
        }
    }
    return found;
}

/* The text with the lexicon's words replaced; free() it. */
static char *pronounce(const char *text, const json_t *lexicon)
{
    size_t room = 0;
    char *out = NULL;
    FILE *to = open_memstream(&out, &room);
    if (!to) abort();
    for (const char *at = text; *at;) {
        const json_t *entry = entry_at(lexicon, text, at);
        const char *say = json_string_value(json_object_get(entry, "say"));
        if (say) {
            fputs(say, to);
            at += strlen(json_string_value(json_object_get(entry, "word")));
        } else {
            fputc(*at++, to);
        }
    }
    fclose(to);
    return out;
}

static void put(uint8_t *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static bool write_wav(int rate)
{
    uint8_t head[44] = "RIFF....WAVEfmt ";
    uint32_t bytes = (uint32_t)(heard.count * 2);
    put(head + 4, bytes + 36, 4), put(head + 16, 16, 4), put(head + 20, 1, 2), put(head + 22, 1, 2);
    put(head + 24, (uint32_t)rate, 4), put(head + 28, (uint32_t)rate * 2, 4), put(head + 32, 2, 2),
        put(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    put(head + 40, bytes, 4);
    return fwrite(head, sizeof head, 1, stdout) == 1 && fwrite(heard.sample, 2, heard.count, stdout) == heard.count &&
           fflush(stdout) == 0;
}

/* The byte where the n-th character (from 0) begins. */
static size_t byte_of(const char *text, int n)
{
    size_t at = 0;
    for (; text[at] && n > 0; n--) {
        at++;
        while ((text[at] & 0xC0) == 0x80) at++;
    }
    return at;
}

static json_t *word_list(const char *text, int rate)
{
    json_t *list = json_array();
    double end = (double)heard.count / rate;
    for (int i = 0; i < heard.words; i++) {
        size_t from = byte_of(text, heard.word[i].position - 1);
        size_t to = from + byte_of(text + from, heard.word[i].length);
        double t0 = heard.word[i].at_ms / 1000.0, t1 = i + 1 < heard.words ? heard.word[i + 1].at_ms / 1000.0 : end;
        json_t *word = json_pack("{s:f,s:f,s:s%}", "t0", t0, "t1", t1, "text", text + from, to - from);
        if (word) json_array_append_new(list, word);
    }
    return list;
}

static bool set_voice(const char *lang, const char *voice)
{
    if (*voice) return espeak_SetVoiceByName(voice) == EE_OK;
    espeak_VOICE wanted = {.languages = lang};
    return espeak_SetVoiceByName(lang) == EE_OK || espeak_SetVoiceByProperties(&wanted) == EE_OK;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

int main(void)
{
    json_error_t error;
    json_t *order = json_loadf(stdin, 0, &error);
    if (!json_is_object(order)) return fprintf(stderr, "expected one JSON object: %s\n", error.text), 2;
    int rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, NULL, 0);
    if (rate <= 0) return fprintf(stderr, "espeak-ng has no voices: apt-get install espeak-ng-data\n"), 1;
    const char *lang = text_of(order, "lang"), *voice = text_of(order, "voice");
    if (!set_voice(lang, voice))
        return fprintf(stderr, "espeak-ng has no voice %s\"%s\"; `espeak-ng --voices` lists them\n",
                       *voice ? "" : "for ", *voice ? voice : lang),
               2;
    const json_t *speed = json_object_get(order, "rate"); /* words a minute */
    if (json_is_number(speed)) espeak_SetParameter(espeakRATE, (int)json_number_value(speed), 0);
    espeak_SetSynthCallback(take);
    const char *ssml = text_of(order, "ssml");
    char *text = pronounce(*ssml ? ssml : text_of(order, "text"), json_object_get(order, "lexicon"));
    unsigned flags = espeakCHARS_UTF8 | espeakPHONEMES | (*ssml ? espeakSSML : 0);
    if (espeak_Synth(text, strlen(text) + 1, 0, POS_CHARACTER, 0, flags, NULL, NULL) != EE_OK ||
        espeak_Synchronize() != EE_OK)
        return fprintf(stderr, "espeak-ng does not speak this\n"), 1;
    json_t *report = json_pack("{s:o,s:s,s:s,s:{s:s,s:s,s:s}}", "words", word_list(text, rate), "engine", "espeak-ng",
                               "version", espeak_Info(NULL), "licences", "code", "GPL-3.0-or-later", "weights", "none",
                               "voice", "GPL-3.0-or-later");
    json_t *consent =
        json_object_get(order, "consent"); /* echoed, so that the record says whose voice it was asked for */
    if (consent) json_object_set(report, "consent", consent);
    bool good = report && write_wav(rate) && json_dumpf(report, stderr, JSON_COMPACT) == 0;
    json_decref(report);
    json_decref(order);
    free(text);
    free(heard.sample);
    espeak_Terminate();
    return good ? 0 : 1;
}
