#include "master.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "common/file.h"
#include "common/provoke.h"
#include "worker/pictures/container.h"
#include "worker/pictures/pixels.h"

#define FORMAT AV_PIX_FMT_GBRP10
enum { TOP = 1023 };

/* libav's reason, with the errno inside it. */
static Status av_failed(ErrClass class, const char *path, int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    Status status = status_fail(class, "%s: cannot %s: %s", path, what, text);
    status.error = AVUNERROR(code);
    return status;
}

/* ---- one picture: planes in the order G, B, R ---- */

static const int plane_of[3] = {2, 0, 1}; /* of red, green, blue */

static uint16_t to_10_bits(float x)
{
    if (!(x > 0)) return 0; /* NaN too */
    return x < 1 ? (uint16_t)(x * TOP + 0.5f) : TOP;
}

static void fill_picture(AVFrame *f, const float *rgb)
{
    for (int y = 0; y < f->height; y++)
        for (int c = 0; c < 3; c++) {
            uint16_t *to = (uint16_t *)(void *)(f->data[plane_of[c]] + (ptrdiff_t)y * f->linesize[plane_of[c]]);
            const float *from = rgb + (size_t)y * (size_t)f->width * 3 + c;
            for (int x = 0; x < f->width; x++) to[x] = to_10_bits(from[3 * x]);
        }
}

static void read_picture(const AVFrame *f, float *rgb)
{
    for (int y = 0; y < f->height; y++)
        for (int c = 0; c < 3; c++) {
            const uint16_t *from =
                (const uint16_t *)(const void *)(f->data[plane_of[c]] + (ptrdiff_t)y * f->linesize[plane_of[c]]);
            float *to = rgb + (size_t)y * (size_t)f->width * 3 + c;
            for (int x = 0; x < f->width; x++) to[3 * x] = (float)from[x] * (1.0f / TOP);
        }
}

/* ---- writing ---- */

typedef struct { /* one call's frames; NULL: the last */
    float *frames;
    int n;
} Batch;

struct MasterWriter {
    MasterShape shape;
    char *path, *draft;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int count; /* frames written so far, by the thread */
    bool begun;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Batch queue[MASTER_QUEUE];
    int first, length; /* of the queue */
    bool over;         /* no more come */
    bool stopped;      /* the thread has failed: it takes what comes and throws it away */
    ErrClass err;      /* with this: */
    int error;
    char *message;
};

static Status open_codec(MasterWriter *w, int threads)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_FFVHUFF);
    AVCodecContext *c = w->codec = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!c) return status_fail(ERR_NODE, "%s: this libavcodec has no ffvhuff", w->path);
    c->width = w->shape.width;
    c->height = w->shape.height;
    c->pix_fmt = FORMAT;
    c->time_base = (AVRational){1, w->shape.fps};
    c->framerate = (AVRational){w->shape.fps, 1};
    c->color_range = AVCOL_RANGE_JPEG;
    c->colorspace = AVCOL_SPC_RGB;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->thread_count = threads > 0 ? threads : 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    const int code = avcodec_open2(c, codec, NULL);
    if (code < 0) return av_failed(ERR_NODE, w->path, code, "encode");
    TRY(pixels_frame(c->width, c->height, FORMAT, &w->frame));
    w->packet = av_packet_alloc();
    return w->packet ? status_ok() : status_fail(ERR_NODE, "%s: out of memory", w->path);
}

static Status open_file(MasterWriter *w)
{
    int code = avformat_alloc_output_context2(&w->file, NULL, "matroska", w->draft);
    AVStream *stream = code < 0 ? NULL : avformat_new_stream(w->file, NULL);
    if (!stream) return status_fail(ERR_NODE, "%s: out of memory", w->path);
    w->file->flags |= AVFMT_FLAG_BITEXACT;
    stream->time_base = w->codec->time_base;
    stream->avg_frame_rate = w->codec->framerate;
    code = avcodec_parameters_from_context(stream->codecpar, w->codec);
    if (code >= 0) code = avio_open(&w->file->pb, w->draft, AVIO_FLAG_WRITE);
    if (code >= 0) code = avformat_write_header(w->file, NULL);
    if (code < 0) return av_failed(ERR_NODE, w->path, code, "write");
    w->begun = true;
    return status_ok();
}

static Status write_packets(MasterWriter *w)
{
    for (;;) {
        int code = avcodec_receive_packet(w->codec, w->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return av_failed(ERR_NODE, w->path, code, "encode");
        AVStream *stream = w->file->streams[0];
        w->packet->duration = 1;
        av_packet_rescale_ts(w->packet, w->codec->time_base, stream->time_base);
        w->packet->stream_index = 0;
        code = av_interleaved_write_frame(w->file, w->packet);
        if (code >= 0 && w->file->pb->error < 0) code = w->file->pb->error;
        if (code < 0) return av_failed(ERR_NODE, w->path, code, "write");
    }
}

static Status write_batch(MasterWriter *w, const Batch *b)
{
    const size_t size = (size_t)w->shape.width * (size_t)w->shape.height * 3;
    for (int i = 0; i < b->n; i++) {
        TRY(provoke_at("master", NULL, w->count));
        if (av_frame_make_writable(w->frame) < 0) return status_fail(ERR_NODE, "%s: out of memory", w->path);
        fill_picture(w->frame, b->frames + (size_t)i * size);
        w->frame->pts = w->count++;
        const int code = avcodec_send_frame(w->codec, w->frame);
        if (code < 0) return av_failed(ERR_NODE, w->path, code, "encode");
        TRY(write_packets(w));
    }
    return status_ok();
}

/* The next batch, or false when no more come. */
static bool take_batch(MasterWriter *w, Batch *b)
{
    pthread_mutex_lock(&w->lock);
    while (w->length == 0 && !w->over) pthread_cond_wait(&w->changed, &w->lock);
    const bool there = w->length > 0;
    if (there) {
        *b = w->queue[w->first];
        w->first = (w->first + 1) % MASTER_QUEUE;
        w->length--;
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return there;
}

/* The message of a Status is its thread's: it is copied for the one that asks. */
static void keep_failure(MasterWriter *w, Status status)
{
    pthread_mutex_lock(&w->lock);
    w->stopped = true;
    w->err = status.err;
    w->error = status.error;
    w->message = text_copy(status.message);
    pthread_mutex_unlock(&w->lock);
}

static void *write_all(void *self)
{
    MasterWriter *w = self;
    bool well = true;
    for (Batch b; take_batch(w, &b);) {
        Status status = well ? write_batch(w, &b) : status_ok();
        if (failed(status)) keep_failure(w, status);
        well = well && !failed(status);
        free(b.frames);
    }
    return NULL;
}

static Status failure_of(MasterWriter *w)
{
    pthread_mutex_lock(&w->lock);
    Status status = w->stopped ? status_fail(w->err, "%s", w->message) : status_ok();
    status.error = w->stopped ? w->error : 0;
    pthread_mutex_unlock(&w->lock);
    return status;
}

Status master_begin(const char *path, const MasterShape *shape, int threads, MasterWriter **out)
{
    MasterWriter *w = memory_get(1, sizeof *w);
    Status status = status_ok();
    av_log_set_level(AV_LOG_FATAL); /* its lines would mix with ours; what matters comes back as a code */
    *out = w;
    w->shape = *shape;
    w->path = text_copy(path);
    w->draft = file_draft(path);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    TRY_OUT(open_codec(w, threads));
    TRY_OUT(open_file(w));
    if (pthread_create(&w->thread, NULL, write_all, w) != 0)
        TRY_OUT(status_fail(ERR_NODE, "%s: cannot start a thread", path));
    w->running = true;
out:
    if (failed(status)) master_abandon(out);
    return status;
}

Status master_put(MasterWriter *w, const float *frames, int n, int height, int width)
{
    if (height != w->shape.height || width != w->shape.width)
        return status_fail(ERR_CLIP, "%s: a frame of %dx%d, expected %dx%d", w->path, width, height, w->shape.width,
                           w->shape.height);
    TRY(failure_of(w));
    const size_t bytes = (size_t)n * (size_t)height * (size_t)width * 3 * sizeof *frames;
    Batch b = {malloc(bytes), n};
    if (!b.frames) return status_fail(ERR_NODE, "%s: out of memory for %d frames", w->path, n);
    memcpy(b.frames, frames, bytes);
    pthread_mutex_lock(&w->lock);
    while (w->length == MASTER_QUEUE) pthread_cond_wait(&w->changed, &w->lock);
    w->queue[(w->first + w->length++) % MASTER_QUEUE] = b;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return status_ok();
}

static void join(MasterWriter *w)
{
    if (!w->running) return;
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->running = false;
}

static Status finish_file(MasterWriter *w, MasterFile *out)
{
    join(w);
    TRY(failure_of(w));
    if (w->count != w->shape.frames)
        return status_fail(ERR_CLIP, "%s: %d frames came, expected %d", w->path, w->count, w->shape.frames);
    int code = avcodec_send_frame(w->codec, NULL);
    if (code < 0) return av_failed(ERR_NODE, w->path, code, "encode");
    TRY(write_packets(w));
    code = av_write_trailer(w->file);
    w->begun = false;
    if (code >= 0) code = w->file->pb->error;
    const int closed = avio_closep(&w->file->pb);
    if (code >= 0) code = closed;
    if (code < 0) return av_failed(ERR_NODE, w->path, code, "write");
    TRY(file_publish(w->draft, w->path));
    TRY(file_size(w->path, &out->bytes));
    return hash_file(w->path, out->sha256);
}

Status master_end(MasterWriter **w, MasterFile *out)
{
    Status status = finish_file(*w, out);
    master_abandon(w);
    return status;
}

void master_abandon(MasterWriter **writer)
{
    MasterWriter *w = *writer;
    if (!w) return;
    join(w);
    if (w->file && w->file->pb) avio_closep(&w->file->pb);
    avformat_free_context(w->file);
    avcodec_free_context(&w->codec);
    av_packet_free(&w->packet);
    av_frame_free(&w->frame);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    unlink(w->draft); /* not there any more when it was published */
    free(w->message);
    free(w->draft);
    free(w->path);
    free(w);
    *writer = NULL;
}

/* ---- reading ---- */

struct MasterReader {
    MasterShape shape;
    char *path;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    float *rgb;
    int count; /* frames so far */
    bool drained;
};

Status master_check(const char *path, const MasterFile *known)
{
    int64_t bytes;
    char sha256[HASH_TEXT];
    Status status = file_size(path, &bytes);
    if (!failed(status)) status = hash_file(path, sha256);
    if (failed(status)) return status_fail(ERR_RETRY, "the master is not there: %s", status.message);
    if (bytes == known->bytes && strcmp(sha256, known->sha256) == 0) return status_ok();
    return status_fail(ERR_RETRY, "%s: the master is damaged: %lld bytes, SHA-256 %.12s.., expected %lld and %.12s..",
                       path, (long long)bytes, sha256, (long long)known->bytes, known->sha256);
}

static Status open_reader(MasterReader *r, int threads)
{
    int code = container_open(r->path, NULL, &r->file);
    if (code < 0) return av_failed(ERR_RETRY, r->path, code, "read the master");
    const AVStream *stream = r->file->nb_streams == 1 ? r->file->streams[0] : NULL;
    const AVCodec *codec = stream ? avcodec_find_decoder(stream->codecpar->codec_id) : NULL;
    if (!codec || stream->codecpar->codec_id != AV_CODEC_ID_FFVHUFF || stream->codecpar->width != r->shape.width ||
        stream->codecpar->height != r->shape.height)
        return status_fail(ERR_RETRY, "%s: no master of %dx%d", r->path, r->shape.width, r->shape.height);
    r->codec = avcodec_alloc_context3(codec);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    r->rgb = malloc((size_t)r->shape.width * (size_t)r->shape.height * 3 * sizeof *r->rgb);
    if (!r->codec || !r->packet || !r->frame || !r->rgb) return status_fail(ERR_NODE, "%s: out of memory", r->path);
    code = avcodec_parameters_to_context(r->codec, stream->codecpar);
    r->codec->thread_count = threads > 0 ? threads : 1;
    if (code >= 0) code = avcodec_open2(r->codec, codec, NULL);
    return code < 0 ? av_failed(ERR_NODE, r->path, code, "decode") : status_ok();
}

Status master_open(const char *path, const MasterShape *shape, int threads, MasterReader **out)
{
    MasterReader *r = memory_get(1, sizeof *r);
    *out = r;
    r->shape = *shape;
    r->path = text_copy(path);
    Status status = open_reader(r, threads);
    if (failed(status)) master_close(out);
    return status;
}

void master_close(MasterReader **r)
{
    if (!*r) return;
    avformat_close_input(&(*r)->file);
    avcodec_free_context(&(*r)->codec);
    av_packet_free(&(*r)->packet);
    av_frame_free(&(*r)->frame);
    free((*r)->rgb);
    free((*r)->path);
    free(*r);
    *r = NULL;
}

static int feed(MasterReader *r)
{
    int code = av_read_frame(r->file, r->packet);
    if (code == AVERROR_EOF) {
        r->drained = true;
        return avcodec_send_packet(r->codec, NULL);
    }
    if (code >= 0) code = avcodec_send_packet(r->codec, r->packet);
    av_packet_unref(r->packet);
    return code;
}

Status master_next(MasterReader *r, const float **frame)
{
    int code;
    *frame = NULL;
    while ((code = avcodec_receive_frame(r->codec, r->frame)) == AVERROR(EAGAIN) && !r->drained) {
        code = feed(r);
        if (code < 0) return av_failed(ERR_RETRY, r->path, code, "read the master");
    }
    if (code == AVERROR_EOF && r->count == r->shape.frames) return status_ok();
    if (code < 0 || r->count == r->shape.frames || r->frame->format != FORMAT)
        return status_fail(ERR_RETRY, "%s: the master is damaged at frame %d of %d", r->path, r->count,
                           r->shape.frames);
    read_picture(r->frame, r->rgb);
    av_frame_unref(r->frame);
    r->count++;
    *frame = r->rgb;
    return status_ok();
}
