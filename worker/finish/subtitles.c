#include "subtitles.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/mem.h>

#include "common/file.h"

static const double LEAST_S = 1, MOST_S = 6, GAP_S = 0.08, PER_SECOND = 17;

void subtitles_clear(Subtitles *s)
{
    for (int i = 0; i < s->count; i++) free(s->cue[i].text);
    free(s->cue);
    *s = (Subtitles){0};
}

/* ---- words to cues ---------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *const *ends)
{
    size_t n = strlen(text);
    for (; *ends; ends++) {
        size_t e = strlen(*ends);
        if (n >= e && strcmp(text + n - e, *ends) == 0) return true;
    }
    return false;
}

static bool ends_sentence(const char *word)
{
    static const char *const ends[] = {".", "!", "?", "…", "。", "！", "？", "؟", "।", NULL};
    return ends_with(word, ends) &&
           !(ends_with(word, (const char *const[]){".", NULL}) && text_letters(word) <= 4); /* "Dr.", "z.B." */
}

static bool ends_clause(const char *word)
{
    static const char *const ends[] = {",", ";", ":", "–", "，", "、", "；", "،", "؛", NULL};
    return ends_with(word, ends) || ends_sentence(word);
}

/* Characters of words first to last with spaces between them. */
static int span(const Voice *v, int first, int last)
{
    int n = 0;
    for (int i = first; i <= last; i++) n += text_letters(v->word[i].text) + (i > first);
    return n;
}

/* The word that the first of two lines ends with: lines of like length, rather after a comma. `last`: one line is enough. */
static int line_end(const Voice *v, int first, int last)
{
    int best = last, best_cost = 1 << 20;
    if (span(v, first, last) <= SUBTITLES_LINE) return last;
    for (int i = first; i < last; i++) {
        int a = span(v, first, i), b = span(v, i + 1, last);
        int over = (a > SUBTITLES_LINE ? a - SUBTITLES_LINE : 0) + (b > SUBTITLES_LINE ? b - SUBTITLES_LINE : 0);
        int cost = over * 100 + abs(a - b) - (ends_clause(v->word[i].text) ? 12 : 0);
        if (cost < best_cost) best_cost = cost, best = i;
    }
    return best;
}

static bool fits(const Voice *v, int first, int last)
{
    int end = line_end(v, first, last);
    if (span(v, first, end) > SUBTITLES_LINE || (end < last && span(v, end + 1, last) > SUBTITLES_LINE))
        return first == last;
    return v->word[last].to_s - v->word[first].from_s <= MOST_S;
}

/* The last word of the cue that begins with `first`: to the sentence's end, or as far as there is room, rather to a comma. */
static int cue_end(const Voice *v, int first)
{
    int last = first, clause = -1;
    while (last + 1 < v->word_count && fits(v, first, last + 1)) {
        bool is_long = v->word[last].to_s - v->word[first].from_s >= LEAST_S; /* a shorter cue cannot be read */
        if (is_long && ends_sentence(v->word[last].text)) break;
        if (ends_clause(v->word[last].text)) clause = last;
        last++;
    }
    bool all = last + 1 == v->word_count || ends_sentence(v->word[last].text);
    return all || clause < 0 || span(v, first, clause) < SUBTITLES_LINE / 2 ? last : clause;
}

/* Whether the first letter of the text is Hebrew, Arabic, Syriac, Thaana ... */
static bool is_right_to_left(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 0xD6 && *p <= 0xDF) return true; /* U+0590 .. U+07FF */
        if (*p == 0xEF && p[1] >= 0xAC && p[1] <= 0xBB && p[1] != 0xAD) return true;
        if ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p >= 0xC3) return false;
    }
    return false;
}

static char *cue_text(const Voice *v, int first, int last)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!to) abort();
    int end = line_end(v, first, last);
    bool marked = is_right_to_left(v->word[first].text);
    for (int i = first; i <= last; i++) {
        bool begins = i == first || i == end + 1;
        if (i > first) fputc(i == end + 1 ? '\n' : ' ', to);
        if (begins && marked) fputs("\xE2\x80\x8F", to);
        fputs(v->word[i].text, to);
        if (marked && (i == last || i == end)) fputs("\xE2\x80\x8F", to);
    }
    fclose(to);
    return text;
}

/* From the first word on, for as long as reading takes, but not into the next cue. */
static void set_times(Subtitles *s, double end_s)
{
    for (int i = 0; i < s->count; i++) {
        Cue *c = &s->cue[i];
        double reading = fmax(LEAST_S, text_letters(c->text) / PER_SECOND);
        double latest = i + 1 < s->count ? s->cue[i + 1].from_s - GAP_S : end_s;
        double to = fmin(fmax(c->to_s + 0.2, c->from_s + reading), fmin(c->from_s + MOST_S, latest));
        c->to_s = fmax(to, fmin(c->to_s, latest));
    }
}

void subtitles_make(const Voice *v, double begin_s, double end_s, Subtitles *out)
{
    *out = (Subtitles){0};
    for (int first = 0; first < v->word_count && out->count < SUBTITLES_MAX_CUES;) {
        int last = cue_end(v, first);
        Cue c = {begin_s + v->word[first].from_s, begin_s + v->word[last].to_s, cue_text(v, first, last)};
        first = last + 1;
        if (c.from_s >= end_s - 0.05) {
            free(c.text);
            break;
        }
        out->cue = memory_resize(out->cue, (size_t)out->count + 1, sizeof *out->cue);
        out->cue[out->count++] = c;
    }
    set_times(out, end_s);
}

/* ---- as text ------------------------------------------------------------------------------------------------------------- */

static void put_time(FILE *to, double s, char comma)
{
    int64_t ms = llrint(s * 1000);
    fprintf(to, "%02d:%02d:%02d%c%03d", (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), comma,
            (int)(ms % 1000));
}

/* WebVTT knows tags and entities; and "-->" ends a cue's text. */
static void put_vtt(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", to);
        else if (*text == '<')
            fputs("&lt;", to);
        else if (*text == '>')
            fputs("&gt;", to);
        else
            fputc(*text, to);
    }
}

static char *written(const Subtitles *s, bool vtt)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!to) abort();
    if (vtt) fputs("WEBVTT\n\n", to);
    for (int i = 0; i < s->count; i++) {
        if (!vtt) fprintf(to, "%d\n", i + 1);
        put_time(to, s->cue[i].from_s, vtt ? '.' : ',');
        fputs(" --> ", to);
        put_time(to, s->cue[i].to_s, vtt ? '.' : ',');
        fputc('\n', to);
        if (vtt)
            put_vtt(to, s->cue[i].text);
        else
            fputs(s->cue[i].text, to);
        fputs("\n\n", to);
    }
    fclose(to);
    return text;
}

char *subtitles_vtt(const Subtitles *s) { return written(s, true); }
char *subtitles_srt(const Subtitles *s) { return written(s, false); }

json_t *subtitles_overlays(const Subtitles *s, const json_t *style)
{
    json_t *list = json_array();
    for (int i = 0; i < s->count; i++) {
        json_t *own =
            style ? json_deep_copy(style)
                  : json_pack("{s:f,s:s,s:b,s:i}", "size", 0.055, "box", "#000000A0", "bold", 1, "max_lines", 3);
        json_array_append_new(list, json_pack("{s:s,s:s,s:f,s:f,s:i,s:b,s:o}", "text", s->cue[i].text, "place",
                                              "bottom", "from", s->cue[i].from_s, "to", s->cue[i].to_s, "fade", 0,
                                              "subtitle", 1, "style", own));
    }
    return list;
}

/* ---- as a track (3GPP TS 26.245) ------------------------------------------------------------------------------------- */

uint8_t *subtitles_sample(const char *text, int *bytes)
{
    size_t n = strlen(text);
    if (n > 0xFFFF) n = 0;
    uint8_t *sample = av_malloc(n + 2 + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!sample) abort();
    sample[0] = (uint8_t)(n >> 8);
    sample[1] = (uint8_t)n;
    memcpy(sample + 2, text, n);
    memset(sample + 2 + n, 0, AV_INPUT_BUFFER_PADDING_SIZE);
    *bytes = (int)n + 2;
    return sample;
}

Status subtitles_parameters(AVCodecParameters **out)
{
    /* TextSampleEntry after its head: flags, bottom centre, transparent, no box, white 18 Serif, one font */
    static const uint8_t entry[] = {0, 0,  0,   0,   1,   0xFF, 0, 0, 0, 0,  0,    0,    0,    0,    0,   0,
                                    0, 0,  0,   0,   0,   0,    0, 1, 0, 18, 0xFF, 0xFF, 0xFF, 0xFF, 0,   0,
                                    0, 18, 'f', 't', 'a', 'b',  0, 1, 0, 1,  5,    'S',  'e',  'r',  'i', 'f'};
    AVCodecParameters *p = *out = avcodec_parameters_alloc();
    if (p) p->extradata = av_mallocz(sizeof entry + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!p || !p->extradata) return status_fail(ERR_NODE, "out of memory for subtitles");
    p->codec_type = AVMEDIA_TYPE_SUBTITLE;
    p->codec_id = AV_CODEC_ID_MOV_TEXT;
    p->codec_tag = MKTAG('t', 'x', '3', 'g');
    memcpy(p->extradata, entry, sizeof entry);
    p->extradata_size = (int)sizeof entry;
    return status_ok();
}
