/* Sound: what files are read, what a mix holds, how loud it becomes, and where in time it is after AAC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "common/file.h"
#include "engine/speech/speech.h"
#include "worker/finish/track.h"

static const char path[] = "test_sound.wav";

static void put(uint8_t *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* A tone of 440 Hz, half of full scale, in a WAV file of any make. */
static void write_wav(int rate, int channels, int bits, int count)
{
    int block = channels * bits / 8, size = count * block;
    uint8_t *file = memory_get((size_t)size + 44, 1);
    memcpy(file, "RIFF....WAVEfmt ", 16);
    memcpy(file + 36, "data", 4);
    put(file + 4, (uint32_t)size + 36, 4), put(file + 16, 16, 4), put(file + 20, 1, 2),
        put(file + 22, (uint32_t)channels, 2);
    put(file + 24, (uint32_t)rate, 4), put(file + 28, (uint32_t)(rate * block), 4), put(file + 32, (uint32_t)block, 2);
    put(file + 34, (uint32_t)bits, 2), put(file + 40, (uint32_t)size, 4);
    for (int i = 0; i < count; i++)
        for (int c = 0; c < channels; c++) {
            double v = 0.5 * sin(2 * M_PI * 440 * i / rate);
            int32_t whole = (int32_t)lrint(v * ((1u << (bits - 1)) - 1));
            put(file + 44 + i * block + c * bits / 8, (uint32_t)(bits == 8 ? whole + 128 : whole), bits / 8);
        }
    assert_string_equal(file_replace(path, file, (size_t)size + 44).message, "");
    free(file);
}

static double rms(const Sound *s, double from_s, double to_s)
{
    double sum = 0;
    int64_t from = llrint(from_s * SOUND_RATE), to = llrint(to_s * SOUND_RATE);
    for (int64_t i = from; i < to; i++) sum += s->sample[2 * i] * s->sample[2 * i];
    return sqrt(sum / (double)(to - from));
}

static void reads_any_rate_and_width(void **state)
{
    static const struct {
        int rate, channels, bits;
    } make[] = {{8000, 1, 8}, {8000, 1, 16}, {22050, 1, 16}, {44100, 2, 24}, {48000, 2, 16}, {96000, 2, 32}};
    (void)state;
    for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
        Sound s;
        write_wav(make[i].rate, make[i].channels, make[i].bits, make[i].rate);
        assert_string_equal(sound_read(path, &s).message, "");
        assert_true(llabs(s.count - SOUND_RATE) < 100);
        /* one channel goes to both at 3 dB less, as libswresample has it; loudness is set afterwards */
        double expected = 0.5 / sqrt(2) * (make[i].channels == 1 ? sqrt(0.5) : 1);
        assert_true(fabs(rms(&s, 0.1, 0.9) / expected - 1) < 0.02);
        sound_clear(&s);
    }
}

static void says_why_a_file_is_none(void **state)
{
    Sound s;
    (void)state;
    assert_string_equal(sound_read("nowhere.wav", &s).message, "nowhere.wav: no such file");
    assert_string_equal(file_replace(path, "", 0).message, "");
    assert_int_equal(sound_read(path, &s).err, ERR_INPUT);
    write_wav(8000, 1, 16, 0);
    assert_int_equal(sound_read(path, &s).err, ERR_INPUT);
    char *rubbish = memory_get(1 << 16, 1);
    for (int i = 0; i < 1 << 16; i++) rubbish[i] = (char)(i * 7919 >> 3);
    assert_string_equal(file_replace(path, rubbish, 1 << 16).message, "");
    Status status = sound_read(path, &s);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, "test_sound.wav: no sound file"));
    assert_null(s.sample);
    free(rubbish);
}

/* Floats may be anything. A sample that is no number was silence once, and nothing said so. */
static void says_which_sample_is_no_number(void **state)
{
    enum { RATE = 48000, HEAD = 44 };
    static uint8_t file[HEAD + 4 * RATE];
    static const float wrong[] = {INFINITY, -INFINITY, NAN};
    Sound s;
    (void)state;
    write_wav(RATE, 1, 32, RATE);
    char *whole;
    size_t bytes;
    assert_string_equal(file_read(path, sizeof file, &whole, &bytes).message, "");
    assert_int_equal(bytes, sizeof file);
    memcpy(file, whole, HEAD);
    free(whole);
    put(file + 20, 3, 2); /* floats */
    for (int i = 0; i < RATE; i++) {
        const float v = 0.25f * (float)sin(i * 0.05);
        memcpy(file + HEAD + 4 * (size_t)i, &v, 4);
    }
    assert_string_equal(file_replace(path, file, sizeof file).message, "");
    assert_string_equal(sound_read(path, &s).message, "");
    sound_clear(&s);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(file + HEAD + 4 * (size_t)(RATE / 2), &wrong[i], 4);
        assert_string_equal(file_replace(path, file, sizeof file).message, "");
        const Status status = sound_read(path, &s);
        assert_int_equal(status.err, ERR_INPUT);
        assert_string_equal(status.message,
                            "test_sound.wav: a sample at 0.50 s is infinite or no number; export the sound again");
        assert_null(s.sample);
    }
}

/* ---- the mix -------------------------------------------------------------------------------------------------------------- */

static Sound tone(double seconds, double hz, double level)
{
    Sound s = sound_silence(seconds);
    for (int64_t i = 0; i < 2 * s.count; i++)
        s.sample[i] = (float)(level * sin(2 * M_PI * hz * (double)(i / 2) / SOUND_RATE));
    return s;
}

static void music_sinks_while_the_voice_speaks(void **state)
{
    Sound voice = tone(1, 300, 0.5), music = tone(0.7, 1000, 0.25), out;
    SoundMix m = {.duration_s = 5, .voice = &voice, .voice_at_s = 2, .music = &music, .duck_db = 9};
    int n;
    (void)state;
    float *curve = sound_duck_curve(&m, &n);
    assert_true(fabs(curve[50] - 1) < 1e-6 && fabs(curve[450] - 1) < 1e-6);
    assert_true(fabs(20 * log10(curve[250]) + 9) < 0.01);
    assert_true(curve[199] < 0.45f && curve[185] > 0.95f); /* sinks just before */
    for (int i = 1; i < n; i++) assert_true(fabs(20 * log10(curve[i] / curve[i - 1])) < 1);
    free(curve);
    m.voice_gain_db = -200;
    sound_mix(&m, &out);
    assert_int_equal(out.count, 5 * SOUND_RATE);
    double before = rms(&out, 0.5, 1.5), during = rms(&out, 2.1, 2.9);
    assert_true(fabs(20 * log10(before / during) - 9) < 0.5);
    assert_true(fabs(before / (0.25 / sqrt(2)) - 1) < 0.1); /* a bed of 0.7 s goes on all the same */
    assert_true(out.sample[0] == 0 && fabs(out.sample[2 * out.count - 1]) < 1e-6);
    sound_clear(&out);
    sound_clear(&music);
    sound_clear(&voice);
}

static double rms_heard(const float *pcm, int64_t from, int64_t to)
{
    double sum = 0;
    for (int64_t i = from; i < to; i++) sum += pcm[i] * pcm[i];
    return sqrt(sum / (double)(to - from));
}

/* One channel of a third of the samples: what both channels share, at its time, up to 8 kHz. */
static void is_heard_at_its_time(void **state)
{
    static const struct {
        double hz, left;
    } tones[] = {{440, 1}, {7000, 1}, {9500, 0}, {20000, 0}};
    float *pcm;
    int64_t count, loudest = 0;
    (void)state;
    for (size_t i = 0; i < sizeof tones / sizeof *tones; i++) {
        Sound s = tone(1.5, tones[i].hz, 0.5);
        assert_string_equal(sound_hear(&s, &pcm, &count).message, "");
        assert_true(llabs(count - 3 * SPEECH_RATE / 2) <= 1);
        const double heard = rms_heard(pcm, 1600, count - 1600) / (0.5 / sqrt(2));
        assert_true(tones[i].left > 0 ? fabs(heard - sqrt(2)) < 0.05 : heard < 0.01);
        free(pcm);
        for (int64_t k = 0; k < s.count; k++) s.sample[2 * k + 1] *= -1;
        assert_string_equal(sound_hear(&s, &pcm, &count).message, "");
        assert_true(rms_heard(pcm, 0, count) < 1e-6);
        free(pcm);
        sound_clear(&s);
    }
    Sound click = sound_silence(2);
    click.sample[2 * SOUND_RATE] = click.sample[2 * SOUND_RATE + 1] = 1;
    assert_string_equal(sound_hear(&click, &pcm, &count).message, "");
    for (int64_t k = 0; k < count; k++)
        if (fabsf(pcm[k]) > fabsf(pcm[loudest])) loudest = k;
    assert_int_equal(loudest, SPEECH_RATE);
    free(pcm);
    sound_clear(&click);
}

/* A click is a step: no sample may be further from the one before than the tones themselves are. */
static void nothing_clicks(void **state)
{
    Sound voice = tone(1, 300, 0.5), music = tone(0.77, 500, 0.3), out;
    SoundMix m = {.duration_s = 3, .voice = &voice, .voice_at_s = 0.5, .music = &music, .duck_db = 12};
    float most = (float)(2 * M_PI / SOUND_RATE * (300 * 0.5 + 500 * 0.3) * 1.3);
    (void)state;
    for (int64_t i = 0; i < voice.count * 2; i++)
        voice.sample[i] = (float)(0.5 * cos(2 * M_PI * 300 * (double)(i / 2) / SOUND_RATE));
    sound_mix(&m, &out);
    for (int64_t i = 1; i < out.count; i++) assert_true(fabsf(out.sample[2 * i] - out.sample[2 * i - 2]) < most);
    sound_clear(&out);
    sound_clear(&music);
    sound_clear(&voice);
}

/* ---- loudness and AAC ------------------------------------------------------------------------------------------------------ */

/* Like speech: bursts of noise of changing strength. */
static Sound bursts(double seconds, double level)
{
    Sound s = sound_silence(seconds);
    uint32_t x = 1;
    for (int64_t i = 0; i < s.count; i++) {
        double t = (double)i / SOUND_RATE,
               swell = fmax(0, sin(2 * M_PI * 1.7 * t)) * (0.4 + 0.6 * fabs(sin(2 * M_PI * 11 * t)));
        x = x * 1664525 + 1013904223;
        s.sample[2 * i] = s.sample[2 * i + 1] = (float)(level * swell * ((double)(x >> 8) / (1 << 23) - 1));
    }
    return s;
}

static void becomes_as_loud_as_wanted(void **state)
{
    static const double target[] = {-14, -16, -23};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            Sound s = bursts(5, k ? 0.02 : 0.9);
            Loudness l;
            assert_string_equal(loudness_set(&s, target[i], -1.5, &l).message, "");
            assert_true(fabs(l.lufs - target[i]) < 0.5);
            assert_true(l.true_peak_db <= -1.5);
            sound_clear(&s);
        }
}

static void the_track_is_measured_after_decoding(void **state)
{
    Sound s = bursts(5, 0.5), silence = sound_silence(2);
    Track t;
    (void)state;
    assert_string_equal(track_master(&s, -14, -1.5, TRACK_KBPS, &t).message, "");
    print_message("decoded: %.2f LUFS, %.2f dBTP\n", t.loudness.lufs, t.loudness.true_peak_db);
    assert_true(fabs(t.loudness.lufs + 14) < 0.6);
    assert_true(t.loudness.true_peak_db <= -1.5);
    track_clear(&t);
    assert_string_equal(track_master(&silence, -14, -1.5, TRACK_KBPS, &t).message, "");
    assert_true(t.count >= 2 * SOUND_RATE / 1024);
    track_clear(&t);
    sound_clear(&silence);
    sound_clear(&s);
}

/* A tone that begins at a known moment, found again in what a decoder that knows of no edit list makes of the packets. */
static void stays_in_step_with_the_picture(void **state)
{
    Sound s = sound_silence(2);
    Track t;
    (void)state;
    for (int64_t i = SOUND_RATE; i < s.count; i++)
        s.sample[2 * i] = s.sample[2 * i + 1] = (float)(0.5 * sin(2 * M_PI * 2000 * (double)i / SOUND_RATE));
    assert_string_equal(track_encode(&s, TRACK_KBPS, &t).message, "");
    assert_int_equal(t.packet[0]->pts, 0);
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_AAC));
    AVFrame *f = av_frame_alloc();
    assert_true(avcodec_parameters_to_context(c, t.parameters) >= 0 && avcodec_open2(c, NULL, NULL) >= 0);
    int64_t at = 0, found = -1;
    for (int i = 0; i <= t.count && found < 0; i++) {
        avcodec_send_packet(c, i < t.count ? t.packet[i] : NULL);
        while (avcodec_receive_frame(c, f) >= 0)
            for (int k = 0; k < f->nb_samples; k++, at++)
                if (found < 0 && fabsf(((float *)(void *)f->data[0])[k]) > 0.25f) found = at;
    }
    double off_ms = (double)(found - SOUND_RATE) * 1000 / SOUND_RATE;
    print_message("sound is %.2f ms off\n", off_ms);
    assert_true(fabs(off_ms) < 5);
    avcodec_free_context(&c);
    av_frame_free(&f);
    track_clear(&t);
    sound_clear(&s);
}

static void gives_the_same_bytes_again(void **state)
{
    Sound s = bursts(2, 0.5);
    Track a, b;
    (void)state;
    assert_string_equal(track_master(&s, -14, -1.5, TRACK_KBPS, &a).message, "");
    assert_string_equal(track_master(&s, -14, -1.5, TRACK_KBPS, &b).message, "");
    assert_int_equal(a.count, b.count);
    for (int i = 0; i < a.count; i++) {
        assert_int_equal(a.packet[i]->size, b.packet[i]->size);
        assert_memory_equal(a.packet[i]->data, b.packet[i]->data, (size_t)a.packet[i]->size);
    }
    track_clear(&a);
    track_clear(&b);
    sound_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_any_rate_and_width),       cmocka_unit_test(says_why_a_file_is_none),
        cmocka_unit_test(says_which_sample_is_no_number), cmocka_unit_test(music_sinks_while_the_voice_speaks),
        cmocka_unit_test(is_heard_at_its_time),           cmocka_unit_test(nothing_clicks),
        cmocka_unit_test(becomes_as_loud_as_wanted),      cmocka_unit_test(the_track_is_measured_after_decoding),
        cmocka_unit_test(stays_in_step_with_the_picture), cmocka_unit_test(gives_the_same_bytes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
