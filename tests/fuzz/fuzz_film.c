/* fuzz_film.c - any bytes as a video file: read or refused; what is read is measured by every gate, looked at for a watermark where it must be, and
 * gets a fingerprint. libav's own readers are inside, limited as film.c limits them. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/gate/gate.h"
#include "worker/proof/fingerprint.h"
#include "worker/proof/watermark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_PIXELS = 64 * 64 /* a mutated size would take all the time */ };

typedef struct {
    Gate *gate;
    WatermarkReader *mark;
    FingerprintMaker *looks;
} Readers;

static Status take_picture(void *self, const FilmPicture *p)
{
    Readers *r = self;
    if (p->width * p->height > MOST_PIXELS) return status_fail(ERR_STOP, "too large for a fuzzer");
    TRY(gate_picture(r->gate, p));
    TRY(watermark_reader_picture(r->mark, p));
    if (!r->looks) TRY(fingerprint_begin(p->width, p->height, 25, &r->looks));
    return fingerprint_picture(r->looks, p);
}

static Status take_sound(void *self, const float *samples, int count, int channels, int rate, double at_s)
{
    (void)at_s;
    return gate_sound(((Readers *)self)->gate, samples, count, channels, rate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[WATERMARK_KEY_BYTES] = "a key";
    static const char set[] = "{\"black\":{\"hold\":0},\"frozen\":{\"hold\":0},\"flicker\":{\"hold\":0},\"jump\":{"
                              "\"hold\":0},\"blur\":{\"hold\":0},"
                              "\"blockiness\":{\"hold\":0},\"banding\":{\"hold\":0},\"flash\":{\"hold\":0},"
                              "\"exposure\":{\"hold\":0,\"hold_low\":0},"
                              "\"loudness\":{\"hold\":0},\"silence\":{\"hold\":0},\"streams\":{\"fail\":0}}";
    GateSet bounds;
    GateReport report;
    FilmInfo info;
    WatermarkReading reading;
    Fingerprint looks;
    char path[64];
    const int f = memfd_create("fuzz", MFD_CLOEXEC);
    if (f < 0 || write(f, data, size) != (ssize_t)size || failed(gate_set_parse(set, &bounds))) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", f);
    Readers r = {gate_begin(&bounds, (GatePromise){0}), watermark_reader_new(key), NULL};
    const Status status = film_read(path, (FilmSink){&r, take_picture, take_sound}, &info);
    if (!failed(status)) {
        gate_end(&r.gate, &info, &report);
        json_decref(gate_report_json(&report));
        watermark_reader_check(r.mark, 0, &reading);
        fingerprint_end(&r.looks, &looks);
    }
    gate_abandon(&r.gate);
    watermark_reader_free(&r.mark);
    fingerprint_abandon(&r.looks);
    close(f);
    return 0;
}
