#include "fingerprint.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/opt.h>

#include "common/file.h"
#include "worker/proof/fingerprint_pairs.h"

enum { TICKS = 90000, MAX_SIGNATURES = 1 << 17 };

struct FingerprintMaker {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    AVFrame *in, *out;
    int width, height;
    int64_t last_tick, picture_ticks;
    int file; /* where the filter writes: memory that has a name */
};

/* ---- from pictures to frame signatures ------------------------------------------------------------------------------------- */

static Status build(FingerprintMaker *m, double fps)
{
    char source[160], chain[160];
    AVFilterInOut *in = avfilter_inout_alloc(), *out = avfilter_inout_alloc();
    snprintf(source, sizeof source, "video_size=%dx%d:pix_fmt=%d:time_base=1/%d:frame_rate=%d/1000:pixel_aspect=1/1",
             m->width, m->height, AV_PIX_FMT_YUV420P, TICKS, (int)lround(fps * 1000));
    snprintf(chain, sizeof chain, "fps=fps=5,signature=format=xml:filename=/proc/self/fd/%d", m->file);
    m->graph = avfilter_graph_alloc();
    int code = m->graph && in && out ? 0 : AVERROR(ENOMEM);
    if (code >= 0) {
        m->graph->nb_threads = 1;
        code = avfilter_graph_create_filter(&m->source, avfilter_get_by_name("buffer"), "in", source, NULL, m->graph);
    }
    if (code >= 0)
        code = avfilter_graph_create_filter(&m->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, m->graph);
    if (code >= 0) {
        *out = (AVFilterInOut){av_strdup("in"), m->source, 0, NULL};
        *in = (AVFilterInOut){av_strdup("out"), m->sink, 0, NULL};
        code = avfilter_graph_parse_ptr(m->graph, chain, &in, &out, NULL);
    }
    if (code >= 0) code = avfilter_graph_config(m->graph, NULL);
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    if (code < 0)
        return status_fail(ERR_NODE, "fingerprint: this libavfilter cannot build \"%s\" for %dx%d", chain, m->width,
                           m->height);
    return status_ok();
}

Status fingerprint_begin(int width, int height, double fps, FingerprintMaker **out)
{
    *out = NULL;
    if (width < 32 || height < 32 || width > FILM_MAX_EDGE || height > FILM_MAX_EDGE || !(fps > 0) || fps > 1000)
        return status_fail(ERR_INPUT, "fingerprint: pictures of %dx%d at %g a second, expected at least 32x32", width,
                           height, fps);
    FingerprintMaker *m = memory_get(1, sizeof *m);
    *m = (FingerprintMaker){.width = width,
                            .height = height,
                            .last_tick = -1,
                            .picture_ticks = llround(TICKS / fps),
                            .file = memfd_create("signatures", MFD_CLOEXEC)};
    *out = m;
    Status status = m->file < 0 ? status_errno(ERR_NODE, "fingerprint: memory for signatures") : build(m, fps);
    m->in = av_frame_alloc();
    m->out = av_frame_alloc();
    if (!failed(status) && (!m->in || !m->out)) status = status_fail(ERR_NODE, "fingerprint: out of memory");
    if (failed(status)) fingerprint_abandon(out);
    return status;
}

void fingerprint_abandon(FingerprintMaker **m)
{
    if (!*m) return;
    avfilter_graph_free(&(*m)->graph);
    av_frame_free(&(*m)->in);
    av_frame_free(&(*m)->out);
    if ((*m)->file >= 0) close((*m)->file);
    free(*m);
    *m = NULL;
}

static void drain(FingerprintMaker *m)
{
    while (av_buffersink_get_frame(m->sink, m->out) >= 0) av_frame_unref(m->out);
}

Status fingerprint_picture(FingerprintMaker *m, const FilmPicture *p)
{
    if (p->width != m->width || p->height != m->height)
        return status_fail(ERR_INPUT, "fingerprint: a picture of %dx%d after %dx%d", p->width, p->height, m->width,
                           m->height);
    av_frame_unref(m->in);
    m->in->width = m->width;
    m->in->height = m->height;
    m->in->format = AV_PIX_FMT_YUV420P;
    int code = av_frame_get_buffer(m->in, 0);
    for (int k = 0; k < 3 && code >= 0; k++) {
        const int width = k ? (m->width + 1) / 2 : m->width, height = k ? (m->height + 1) / 2 : m->height;
        for (int y = 0; y < height; y++)
            memcpy(m->in->data[k] + (ptrdiff_t)y * m->in->linesize[k], p->plane[k] + (ptrdiff_t)y * p->stride[k],
                   (size_t)width);
    }
    int64_t tick = llround(p->at_s * TICKS);
    if (tick <= m->last_tick) tick = m->last_tick + 1; /* a damaged file's time stamps */
    m->in->pts = m->last_tick = tick;
    if (code >= 0) code = av_buffersrc_add_frame(m->source, m->in);
    if (code < 0)
        return status_fail(ERR_NODE, "fingerprint: the filter takes no picture of %dx%d", m->width, m->height);
    drain(m);
    return status_ok();
}

/* ---- from frame signatures to bits ------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) { return memcmp(a, b, FINGERPRINT_VALUES); }

/* "<FrameSignature>0  2  1 ...</FrameSignature>", wherever they stand. */
static Status parse_signatures(const char *text, uint8_t (**out)[FINGERPRINT_VALUES], int *count)
{
    static const char tag[] = "<FrameSignature>";
    *out = NULL;
    *count = 0;
    for (const char *p = strstr(text, tag); p; p = strstr(p, tag)) {
        if (*count == MAX_SIGNATURES)
            return status_fail(ERR_INPUT, "fingerprint: more than %d pictures", MAX_SIGNATURES);
        p += sizeof tag - 1;
        if (*count % 256 == 0) *out = memory_resize(*out, (size_t)*count + 256, sizeof **out);
        uint8_t *value = (*out)[(*count)++];
        for (int i = 0; i < FINGERPRINT_VALUES; i++) {
            p += strspn(p, " \n");
            if (*p < '0' || *p > '2')
                return status_fail(ERR_NODE, "fingerprint: libavfilter wrote a signature of %d values", i);
            value[i] = (uint8_t)(*p++ - '0');
        }
    }
    return *count ? status_ok() : status_fail(ERR_INPUT, "fingerprint: the clip has no picture");
}

void fingerprint_of_sums(const int64_t sum[FINGERPRINT_VALUES], Fingerprint *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 8 * FINGERPRINT_BYTES; i++)
        if (sum[fingerprint_pair[i][1]] > sum[fingerprint_pair[i][0]]) out->bit[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static Status hash_signatures(const char *text, Fingerprint *out)
{
    uint8_t(*value)[FINGERPRINT_VALUES] = NULL;
    int64_t sum[FINGERPRINT_VALUES] = {0};
    int count;
    Status status = parse_signatures(text, &value, &count);
    if (!failed(status)) {
        qsort(value, (size_t)count, sizeof *value, compare);
        for (int i = 0; i < count; i++) /* each only once, as in the standard: a still would else outvote the rest */
            for (int k = 0; k < FINGERPRINT_VALUES && (i == 0 || compare(value[i], value[i - 1]) != 0); k++)
                sum[k] += value[i][k];
        fingerprint_of_sums(sum, out);
    }
    free(value);
    return status;
}

Status fingerprint_end(FingerprintMaker **maker, Fingerprint *out)
{
    FingerprintMaker *m = *maker;
    char path[64], *text = NULL;
    size_t bytes;
    Status status = status_ok();
    /* the last picture is shown as long as the others: `fps` repeats it or leaves it out by that, as in the ffmpeg program */
    if (av_buffersrc_close(m->source, m->last_tick + m->picture_ticks, 0) < 0)
        status = status_fail(ERR_NODE, "fingerprint: the filter cannot end");
    if (!failed(status)) drain(m);
    avfilter_graph_free(&m->graph); /* it writes now */
    snprintf(path, sizeof path, "/proc/self/fd/%d", m->file);
    if (!failed(status)) status = file_read(path, (size_t)MAX_SIGNATURES * 2048, &text, &bytes);
    if (!failed(status)) status = hash_signatures(text, out);
    free(text);
    fingerprint_abandon(maker);
    return status;
}

/* ---- a file, and text ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    FingerprintMaker *maker;
    const FilmInfo *info;
} Reading;

static Status take(void *self, const FilmPicture *p)
{
    Reading *r = self;
    if (!r->maker) TRY(fingerprint_begin(p->width, p->height, r->info->fps, &r->maker));
    return fingerprint_picture(r->maker, p);
}

Status fingerprint_file(const char *path, Fingerprint *out)
{
    FilmInfo info;
    Reading r = {.info = &info};
    Status status = film_read(path, (FilmSink){&r, take, NULL}, &info);
    if (!failed(status)) return fingerprint_end(&r.maker, out);
    fingerprint_abandon(&r.maker);
    return status;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648, without padding */

/* Content, video, version 0, and the length in units of 32 bits less one (1 = 64, 7 = 256): a nibble each, as variable-length nibbles. */
static void header(int bits, uint8_t out[2])
{
    out[0] = 2 << 4 | 3;
    out[1] = (uint8_t)(bits / 32 - 1);
}

void fingerprint_text(const Fingerprint *f, int bits, char text[FINGERPRINT_TEXT])
{
    uint8_t raw[2 + FINGERPRINT_BYTES];
    char *p = text + snprintf(text, FINGERPRINT_TEXT, "ISCC:");
    header(bits, raw);
    memcpy(raw + 2, f->bit, FINGERPRINT_BYTES);
    for (int at = 0; at < 16 + bits; at += 5) {
        int value = 0;
        for (int i = at; i < at + 5; i++) value = value * 2 + (i < 16 + bits ? raw[i / 8] >> (7 - i % 8) & 1 : 0);
        *p++ = alphabet[value];
    }
    *p = 0;
}

Status fingerprint_parse(const char *text, Fingerprint *out)
{
    enum { BITS = 8 * (2 + FINGERPRINT_BYTES), LETTERS = (BITS + 4) / 5 };
    uint8_t raw[2 + FINGERPRINT_BYTES + 1] = {0}, wanted[2];
    const char *p = strncmp(text, "ISCC:", 5) == 0 ? text + 5 : text;
    bool fine = strlen(p) == LETTERS;
    header(256, wanted);
    for (int i = 0; i < LETTERS && fine; i++) {
        const char *at = strchr(alphabet, p[i]);
        fine = at != NULL;
        for (int k = 0; k < 5 && fine; k++)
            if ((at - alphabet) >> (4 - k) & 1) raw[(5 * i + k) / 8] |= (uint8_t)(0x80 >> (5 * i + k) % 8);
    }
    if (!fine || memcmp(raw, wanted, 2) != 0)
        return status_fail(ERR_INPUT, "not an ISCC Video-Code of 256 bits (ISCC: and %d letters)", LETTERS);
    memcpy(out->bit, raw + 2, FINGERPRINT_BYTES);
    return status_ok();
}

int fingerprint_distance(const Fingerprint *a, const Fingerprint *b)
{
    int n = 0;
    for (int i = 0; i < FINGERPRINT_BYTES; i++) n += __builtin_popcount((unsigned)(a->bit[i] ^ b->bit[i]));
    return n;
}
