/* Voices: espeak with its words' times; engines that fail in every way; amounts and dates as they are said; what is too long. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/moment.h"
#include "worker/finish/spoken.h"
#include "worker/finish/voice.h"
#include "worker/finish/words.h"

static json_t *parse(const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    return o;
}

static Status make(const char *spec, const char *cache, Voice *out)
{
    json_t *o = parse(spec);
    Status s = voice_make(o, cache, out);
    json_decref(o);
    return s;
}

static bool has_espeak(void) { return access(BINARY_DIR "/reelwright-espeak", X_OK) == 0; }

static void need_espeak(void)
{
    if (has_espeak()) return;
    print_message("skipped: this build has no reelwright-espeak (libespeak-ng-dev)\n");
    skip();
}

static void espeak_speaks_with_times(void **state)
{
    Voice v;
    (void)state;
    need_espeak();
    assert_string_equal(
        make("{\"text\":\"Hallo \u2068Björn Åkesson\u2069, das Meer wartet!\",\"language\":\"de\"}", NULL, &v).message,
        "");
    assert_int_equal(v.word_count, 6);
    assert_string_equal(v.word[1].text, "Björn");
    assert_string_equal(v.word[2].text, "Åkesson,");
    assert_true(sound_seconds(&v.sound) > 1 && sound_seconds(&v.sound) < 4);
    for (int i = 0; i < v.word_count; i++) {
        assert_true(v.word[i].to_s > v.word[i].from_s);
        if (i) assert_true(v.word[i].from_s >= v.word[i - 1].to_s - 1e-9);
    }
    assert_string_equal(json_string_value(json_object_get(v.report, "engine")), "espeak-ng");
    voice_clear(&v);
}

/* Silence between two words is found where the times say it is: the pause after a sentence. */
static void the_times_are_those_of_the_sound(void **state)
{
    Voice v;
    (void)state;
    need_espeak();
    assert_string_equal(make("{\"text\":\"One. Two. Three. Four.\",\"language\":\"en-us\"}", NULL, &v).message, "");
    assert_int_equal(v.word_count, 4);
    for (int i = 1; i < 4; i++) { /* 40 ms before a word it is quieter than 40 to 140 ms behind its beginning */
        double before = 0, behind = 0;
        int64_t at = llrint(v.word[i].from_s * SOUND_RATE);
        for (int64_t k = 0; k < SOUND_RATE / 25; k++) before += fabs(v.sound.sample[2 * (at - k - SOUND_RATE / 100)]);
        for (int64_t k = 0; k < SOUND_RATE / 10; k++)
            behind += fabs(v.sound.sample[2 * (at + SOUND_RATE / 25 + k)]) / 2.5;
        assert_true(before < behind / 3);
    }
    voice_clear(&v);
}

static void a_lexicon_changes_what_is_said_not_what_is_read(void **state)
{
    Voice plain, changed;
    (void)state;
    need_espeak();
    assert_string_equal(make("{\"text\":\"Hello Nguyen.\",\"language\":\"en-us\"}", NULL, &plain).message, "");
    assert_string_equal(
        make("{\"text\":\"Hello "
             "Nguyen.\",\"language\":\"en-us\",\"lexicon\":[{\"word\":\"Nguyen\",\"say\":\"[[b@n'A:n@b@n'A:n@]]\"}]}",
             NULL, &changed)
            .message,
        "");
    assert_string_equal(changed.word[1].text, "Nguyen.");
    assert_true(llabs(plain.sound.count - changed.sound.count) > SOUND_RATE / 20);
    voice_clear(&plain);
    voice_clear(&changed);
}

static void says_money_and_dates(void **state)
{
    static const struct {
        const char *language, *from, *to;
    } row[] = {
        {"de", "Nur 3,50 € am 12.05.2026 um 18:30 Uhr.", "Nur 3 Euro 50 am 12. Mai 2026 um 18 Uhr 30."},
        {"de-at", "1.234,05 EUR oder 1 €", "1234 Euro 5 oder ein Euro"},
        {"de", "20,- € und 20,00 CHF, 99 % von 3,5 km", "20 Euro und 20 Franken, 99 % von 3,5 km"},
        {"de", "Version 1.2.3, Nummer 12.345, EURO", "Version 1.2.3, Nummer 12.345, EURO"},
        {"en-us", "$3.50, £1 and €1,000.00 on 2026-05-12", "3 dollars 50, one pound and 1000 euros on May 12, 2026"},
        {"en", "US$ x, 3.14159 $", "US$ x, 3.14159 $"},
        {"fr", "3,50 €", "3,50 €"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char *said = spoken_text(row[i].from, row[i].language);
        assert_string_equal(said, row[i].to);
        free(said);
    }
}

/* ---- engines by command ----------------------------------------------------------------------------------------------------- */

/* A second of silence as WAV, 8 kHz. */
static const char good_wav[] =
    "python3 -c \\\"import sys,struct;sys.stdout.buffer.write(b'RIFF'+struct.pack('<I',16036)+b'WAVEfmt "
    "'+struct.pack('<IHHIIHH',16,1,1,8000,16000,2,16)"
    "+b'data'+struct.pack('<I',16000)+b'\\\\x01\\\\x20'*8000)\\\"";

static void engines_fail_in_every_way(void **state)
{
    static const struct {
        const char *engine, *says;
        double most_s;
    } row[] = {{"sleep 30", "voice: the engine: it took longer than 0.3 s", 2},
               {"sleep 30 & sleep 30", "it took longer than", 2},
               {"echo no model >&2; exit 3", "it ended with status 3: no model", 2},
               {"kill -9 $$", "it was ended by signal 9", 2},
               {"echo rubbish", "it wrote 8 bytes that are no WAV file", 2},
               {"printf 'RIFF....WAVEfmt rubbish'; head -c 3000 /dev/urandom", "that is no WAV file", 2},
               {"head -c 200000000 /dev/zero", "it wrote more than 100 MB", 40},
               {"true", "it wrote 0 bytes", 2},
               {"no-such-engine-here", "it ended with status 127", 2}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Voice v;
        double start = moment_s();
        char *spec =
            text_format("{\"text\":\"Hello\",\"engine\":\"%s\",\"time_limit\":%s,\"retries\":1}", row[i].engine,
                        i == 6  ? "100"
                        : i < 2 ? "0.3"
                                : "5");
        Status s = make(spec, NULL, &v);
        assert_int_equal(s.err, ERR_CLIP);
        if (i != 5 && !strstr(s.message, row[i].says))
            fail_msg("%s: \"%s\", expected \"%s\"", row[i].engine, s.message, row[i].says);
        assert_true(moment_s() - start < 3 * row[i].most_s);
        assert_null(v.sound.sample);
        free(spec);
    }
}

static void an_engine_is_asked_once_for_the_same(void **state)
{
    Voice v;
    struct stat st;
    char *spec = text_format("{\"text\":\"Hello there\",\"engine\":\"echo x >>test_voice.runs; cat >test_voice.order; "
                             "%s\",\"seed\":7,\"language\":\"de\"}",
                             good_wav);
    (void)state;
    unlink("test_voice.runs");
    system("rm -rf test_voice.cache");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(make(spec, "test_voice.cache", &v).message, "");
        assert_true(fabs(sound_seconds(&v.sound) - 1) < 0.01);
        assert_int_equal(v.word_count, 2); /* it gave no times: spread by their letters */
        assert_true(fabs(v.word[1].from_s - 0.5) < 0.02);
        voice_clear(&v);
    }
    assert_int_equal(stat("test_voice.runs", &st), 0);
    assert_int_equal(st.st_size, 2);
    json_t *order = json_load_file("test_voice.order", 0, NULL);
    assert_string_equal(json_string_value(json_object_get(order, "text")), "Hello there");
    assert_string_equal(json_string_value(json_object_get(order, "lang")), "de");
    assert_int_equal(json_integer_value(json_object_get(order, "seed")), 7);
    json_decref(order);
    assert_int_equal(stat("test_voice.cache", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    free(spec);
}

static void a_consent_must_be_echoed(void **state)
{
    Voice v;
    char *silent = text_format("{\"text\":\"Hello\",\"engine\":\"%s\",\"consent\":\"c-17\",\"retries\":0}", good_wav);
    char *honest = text_format("{\"text\":\"Hello\",\"engine\":\"%s; echo log >&2; echo "
                               "'{\\\"consent\\\":\\\"c-17\\\",\\\"words\\\":[{\\\"t0\\\":0.25,\\\"t1\\\":0.9,"
                               "\\\"text\\\":\\\"hello\\\"}]}' >&2\",\"consent\":\"c-17\"}",
                               good_wav);
    (void)state;
    Status s = make(silent, NULL, &v);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "does not echo the consent"));
    assert_string_equal(make(honest, NULL, &v).message, "");
    assert_true(fabs(v.word[0].from_s - 0.25) < 1e-9);
    voice_clear(&v);
    free(honest);
    free(silent);
}

static void words_are_laid_over_what_was_said(void **state)
{
    Voice v = {.sound = sound_silence(4)};
    json_t *said = parse("[{\"t0\":0,\"text\":\"nur\"},{\"t0\":1,\"text\":\"drei\"},{\"t0\":2,\"text\":\"Euro\"},{"
                         "\"t0\":3,\"text\":\"jetzt\"}]");
    (void)state;
    words_set(&v, "Nur 3€ jetzt", said);
    assert_int_equal(v.word_count, 3);
    assert_true(v.word[0].from_s == 0 && v.word[1].from_s > 0.5 && v.word[1].from_s < 2.5 && v.word[2].from_s > 1.5);
    char *plain = words_of_ssml("<speak>3 &lt; 4 &amp; <break time='1s'/>five</speak>");
    assert_string_equal(plain, "3 < 4 & five");
    free(plain);
    json_decref(said);
    voice_clear(&v);
}

/* ---- too long ------------------------------------------------------------------------------------------------------------- */

static Voice tone(double seconds)
{
    Voice v = {.sound = sound_silence(seconds)};
    for (int64_t i = 0; i < 2 * v.sound.count; i++)
        v.sound.sample[i] = (float)(0.3 * sin(2 * M_PI * 300 * (double)(i / 2) / SOUND_RATE));
    words_set(&v, "one two three four", NULL);
    return v;
}

static void what_is_too_long_is_said_faster_held_or_refused(void **state)
{
    static const struct {
        const char *policy;
        double length_s, ends_s, over_s; /* room is 3 s; ends 0: refused */
    } row[] = {{"faster", 2.9, 2.9, 0},     {"faster", 3.3, 3.0, 0}, {"faster", 3.5, 0, 0},
               {"hold", 3.5, 3.043, 0.043}, {"hold", 4.6, 4, 1},     {"refuse", 3.1, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double over;
        Voice v = tone(row[i].length_s);
        json_t *spec = json_pack("{s:s}", "too_long", row[i].policy);
        Status s = voice_fit(&v, spec, 3, &over);
        assert_int_equal(s.err, row[i].ends_s > 0 ? OK : ERR_CLIP);
        if (row[i].ends_s > 0) {
            assert_true(fabs(sound_seconds(&v.sound) - row[i].ends_s) < 0.06);
            assert_true(fabs(over - row[i].over_s) < 0.06);
            assert_true(over > 0 || sound_seconds(&v.sound) <= 3.001);
            assert_true(fabs(v.word[3].to_s - sound_seconds(&v.sound)) < 0.06);
        }
        json_decref(spec);
        voice_clear(&v);
    }
}

/* The shortest shot in which the voice is not spoken faster, at every length: its sums and voice_fit's are the same. */
static void a_shot_is_as_long_as_its_voice(void **state)
{
    (void)state;
    json_t *spec = json_pack("{s:f}", "at", 0.3);
    for (int64_t count = 1; count < 4 * SOUND_RATE; count += 997) {
        Voice v = {.sound = {count, NULL}}; /* its samples are not looked at */
        double over;
        int frames = 0;
        assert_int_equal(voice_follow(&v, spec, 16, 80, &frames).err, OK);
        assert_true(voice_room_s(spec, frames / 16.0) >= sound_seconds(&v.sound));
        assert_true(voice_room_s(spec, (frames - 1) / 16.0) < sound_seconds(&v.sound));
        assert_int_equal(voice_fit(&v, spec, voice_room_s(spec, frames / 16.0), &over).err, OK);
        assert_int_equal(v.sound.count, count);
    }
    Voice v = {.sound = {SOUND_RATE * 46 / 10, NULL}};
    int frames = 0;
    assert_int_equal(voice_follow(&v, spec, 16, 80, &frames).err, OK);
    assert_int_equal(frames, 80);
    v.sound.count += 10;
    assert_int_equal(voice_follow(&v, spec, 16, 80, &frames).err, ERR_CLIP);
    json_decref(spec);
}

static void a_recording_is_read(void **state)
{
    Voice v;
    (void)state;
    Status s = make("{\"file\":\"nowhere.wav\",\"text\":\"a b\"}", NULL, &v);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "voice: nowhere.wav: no such file"));
    assert_string_equal(make("{\"text\":\"   \"}", NULL, &v).message, ""); /* nothing to say */
    assert_int_equal(v.sound.count, 0);
}

/* The sound that a shot's lips follow: made once, whatever the engine would say by now, and never by who only reads it. */
static void a_shot_has_one_sound(void **state)
{
    (void)state;
    static const char place[] = "test_voice_shot.voice", missing[] = "test_voice_shot.none";
    char *first = text_format("{\"text\":\"Hello there\",\"engine\":\"%s\"}", good_wav), sha256[HASH_TEXT];
    json_t *spec = parse(first), *other = parse("{\"text\":\"Hello\",\"engine\":\"exit 1\",\"retries\":0}");
    Voice v;
    system("rm -f test_voice_shot.*");
    assert_false(voice_is_at(spec, place));
    assert_int_equal(voice_read_at(spec, place, &v).err, ERR_RETRY);
    assert_string_equal(voice_make_at(spec, place, &v).message, "");
    voice_clear(&v);
    assert_true(voice_is_at(other, place));
    assert_string_equal(voice_make_at(other, place, &v).message, "");
    assert_true(fabs(sound_seconds(&v.sound) - 1) < 0.01);
    voice_clear(&v);
    assert_int_equal(voice_make_at(other, missing, &v).err, ERR_CLIP);
    /* a recording is its own file, and the one that was planned with */
    assert_int_equal(hash_file("test_voice_shot.voice.wav", sha256).err, OK);
    json_t *file = json_pack("{s:s,s:s}", "file", "test_voice_shot.voice.wav", "sha256", sha256);
    assert_true(voice_is_at(file, missing));
    assert_string_equal(voice_read_at(file, missing, &v).message, "");
    voice_clear(&v);
    json_object_set_new(file, "sha256", json_string("0123"));
    Status s = voice_read_at(file, missing, &v);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "the recording has changed since it was planned"));
    json_decref(file);
    json_decref(other);
    json_decref(spec);
    free(first);
}

/* A check that is killed leaves what was to be said in /tmp, until somebody speaks again; what others are using stays. */
static void what_a_kill_left_is_swept(void **state)
{
    (void)state;
    static const char slow[] =
        "{\"text\":\"Hello\",\"engine\":\"echo $REELWRIGHT_VOICE_TIMES "
        ">test_voice.draft; mv test_voice.draft test_voice.place; exec sleep 600\",\"retries\":0,"
        "\"time_limit\":600}";
    static const char next[] = "{\"text\":\"Hello\",\"engine\":\"true\",\"retries\":0}";
    char *place = NULL, *folder;
    size_t bytes;
    int how;
    Voice v;
    unlink("test_voice.place");
    const pid_t child = fork();
    if (child == 0) {
        make(slow, NULL, &v);
        _exit(0);
    }
    while (access("test_voice.place", R_OK) != 0) {
        assert_int_equal(waitpid(child, &how, WNOHANG), 0);
        usleep(5000);
    }
    assert_int_equal(file_read("test_voice.place", 4096, &place, &bytes).err, OK);
    folder = path_folder(place);
    assert_true(strncmp(folder, "/tmp/reelwright-voice-", strlen("/tmp/reelwright-voice-")) == 0);
    make(next, NULL, &v);
    assert_true(file_is_folder(folder)); /* it is in use */
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &how, 0), child);
    make(next, NULL, &v);
    assert_false(file_is_folder(folder));
    unlink("test_voice.place");
    free(folder);
    free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(espeak_speaks_with_times),
        cmocka_unit_test(the_times_are_those_of_the_sound),
        cmocka_unit_test(a_lexicon_changes_what_is_said_not_what_is_read),
        cmocka_unit_test(says_money_and_dates),
        cmocka_unit_test(engines_fail_in_every_way),
        cmocka_unit_test(an_engine_is_asked_once_for_the_same),
        cmocka_unit_test(a_consent_must_be_echoed),
        cmocka_unit_test(words_are_laid_over_what_was_said),
        cmocka_unit_test(what_is_too_long_is_said_faster_held_or_refused),
        cmocka_unit_test(a_shot_is_as_long_as_its_voice),
        cmocka_unit_test(a_recording_is_read),
        cmocka_unit_test(a_shot_has_one_sound),
        cmocka_unit_test(what_a_kill_left_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
