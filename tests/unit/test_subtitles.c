/* Subtitles from words with times: how they are parted, how long they stand, and what the files hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavutil/mem.h>
#include <math.h>

#include "common/file.h"
#include "worker/finish/subtitles.h"
#include "worker/finish/words.h"

static Subtitles make(const char *text, double seconds, double begin_s, double end_s)
{
    Voice v = {.sound = sound_silence(seconds)};
    Subtitles s;
    words_set(&v, text, NULL);
    subtitles_make(&v, begin_s, end_s, &s);
    voice_clear(&v);
    return s;
}

static int characters(const char *from, const char *to)
{
    int n = 0;
    for (; from < to; from++) n += ((unsigned char)*from & 0xC0) != 0x80;
    return n;
}

static void follows_the_usual_rules(void **state)
{
    static const char text[] =
        "Hallo Anna, das Meer wartet auf dich! Im Mai fahren wir nach Rügen, wo der Strand weiß ist und das Wasser "
        "klar. "
        "Bring deine Freunde mit, denn zu zweit ist es schöner als allein; und vergiss die Sonnencreme nicht.";
    Subtitles s = make(text, 15, 0.3, 16);
    (void)state;
    assert_true(s.count >= 4 && s.count <= 7);
    assert_string_equal(s.cue[0].text, "Hallo Anna, das Meer wartet auf dich!"); /* 37 characters: one line */
    for (int i = 0; i < s.count; i++) {
        const Cue *c = &s.cue[i];
        const char *line = strchr(c->text, '\n');
        if (line) assert_null(strchr(line + 1, '\n'));
        assert_true(characters(c->text, line ? line : c->text + strlen(c->text)) <= SUBTITLES_LINE);
        if (line) assert_true(characters(line + 1, c->text + strlen(c->text)) <= SUBTITLES_LINE);
        assert_true(c->to_s - c->from_s <= 6.001 && c->to_s <= 16);
        if (i) assert_true(c->from_s - s.cue[i - 1].to_s >= 0.079);
    }
    subtitles_clear(&s);
}

/* A word that is said in 0.3 s stands for a second, when the clip is long enough. */
static void stands_long_enough_to_be_read(void **state)
{
    Subtitles s = make("Hallo!", 0.3, 0.5, 4);
    (void)state;
    assert_int_equal(s.count, 1);
    assert_true(fabs(s.cue[0].from_s - 0.5) < 1e-9 && fabs(s.cue[0].to_s - 1.5) < 1e-9);
    subtitles_clear(&s);
    s = make("Hallo!", 0.3, 3.5, 4);
    assert_true(s.cue[0].to_s <= 4);
    subtitles_clear(&s);
    s = make("", 1, 0, 4);
    assert_int_equal(s.count, 0);
    subtitles_clear(&s);
}

static void writes_webvtt_and_srt(void **state)
{
    Subtitles s = make("A <b> & \u2068C--> D\u2069!", 2, 0.5, 70);
    (void)state;
    char *vtt = subtitles_vtt(&s), *srt = subtitles_srt(&s);
    assert_string_equal(vtt, "WEBVTT\n\n00:00:00.500 --> 00:00:02.700\nA &lt;b&gt; &amp; C--&gt; D!\n\n");
    assert_string_equal(srt, "1\n00:00:00,500 --> 00:00:02,700\nA <b> & C--> D!\n\n");
    free(vtt);
    free(srt);
    subtitles_clear(&s);
}

static void right_to_left_lines_say_so(void **state)
{
    Subtitles s = make("שלום Ben, הים מחכה!", 2, 0, 4);
    (void)state;
    assert_int_equal(s.count, 1);
    assert_string_equal(s.cue[0].text, "\u200Fשלום Ben, הים מחכה!\u200F");
    subtitles_clear(&s);
}

static void is_a_list_of_overlays_and_a_track(void **state)
{
    Subtitles s = make("Hallo Anna!", 1, 0.5, 4);
    int bytes;
    AVCodecParameters *p;
    (void)state;
    json_t *list = subtitles_overlays(&s, NULL);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "text")), "Hallo Anna!");
    uint8_t *sample = subtitles_sample("Hallo", &bytes);
    assert_int_equal(bytes, 7);
    assert_memory_equal(sample, "\0\5Hallo", 7);
    assert_string_equal(subtitles_parameters(&p).message, "");
    assert_int_equal(p->codec_id, AV_CODEC_ID_MOV_TEXT);
    avcodec_parameters_free(&p);
    av_free(sample);
    json_decref(list);
    subtitles_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_usual_rules),
        cmocka_unit_test(stands_long_enough_to_be_read),
        cmocka_unit_test(writes_webvtt_and_srt),
        cmocka_unit_test(right_to_left_lines_say_so),
        cmocka_unit_test(is_a_list_of_overlays_and_a_track),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
