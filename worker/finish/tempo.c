#include "tempo.h"

#include <stdlib.h>
#include <string.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/channel_layout.h>

#include "common/file.h"

typedef struct {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
} Tempo;

static Status failure(int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "cannot change the tempo of a voice: %s", text);
}

static Status build(Tempo *t, double factor)
{
    char speed[64];
    AVFilterContext *tempo = NULL;
    t->graph = avfilter_graph_alloc();
    if (!t->graph) return failure(AVERROR(ENOMEM));
    t->graph->nb_threads = 1;
    snprintf(speed, sizeof speed, "tempo=%.6f", factor);
    int code = avfilter_graph_create_filter(&t->source, avfilter_get_by_name("abuffer"), "in",
                                            "sample_rate=48000:sample_fmt=flt:channel_layout=stereo:time_base=1/48000",
                                            NULL, t->graph);
    if (code >= 0)
        code = avfilter_graph_create_filter(&tempo, avfilter_get_by_name("atempo"), "tempo", speed, NULL, t->graph);
    if (code >= 0)
        code = avfilter_graph_create_filter(&t->sink, avfilter_get_by_name("abuffersink"), "out", NULL, NULL, t->graph);
    if (code >= 0) code = avfilter_link(t->source, 0, tempo, 0);
    if (code >= 0) code = avfilter_link(tempo, 0, t->sink, 0);
    if (code >= 0) code = avfilter_graph_config(t->graph, NULL);
    return code < 0 ? failure(code) : status_ok();
}

static int send_all(Tempo *t, const Sound *s)
{
    AVFrame *f = av_frame_alloc();
    if (!f) return AVERROR(ENOMEM);
    f->nb_samples = (int)s->count;
    f->format = AV_SAMPLE_FMT_FLT;
    f->sample_rate = SOUND_RATE;
    av_channel_layout_default(&f->ch_layout, 2);
    int code = av_frame_get_buffer(f, 0);
    if (code >= 0) memcpy(f->data[0], s->sample, (size_t)s->count * 2 * sizeof *s->sample);
    f->pts = 0;
    if (code >= 0) code = av_buffersrc_add_frame(t->source, f);
    if (code >= 0) code = av_buffersrc_add_frame(t->source, NULL);
    av_frame_free(&f);
    return code;
}

static int receive_all(Tempo *t, Sound *out)
{
    AVFrame *f = av_frame_alloc();
    int code = f ? 0 : AVERROR(ENOMEM);
    while (code >= 0 && (code = av_buffersink_get_frame(t->sink, f)) >= 0) {
        out->sample = memory_resize(out->sample, (size_t)(out->count + f->nb_samples) * 2, sizeof *out->sample);
        memcpy(out->sample + 2 * out->count, f->data[0], (size_t)f->nb_samples * 2 * sizeof *out->sample);
        out->count += f->nb_samples;
        av_frame_unref(f);
    }
    av_frame_free(&f);
    return code == AVERROR_EOF ? 0 : code;
}

Status tempo_change(Sound *s, double factor)
{
    Tempo t = {0};
    Sound out = {0};
    Status status = build(&t, factor);
    if (!failed(status)) {
        int code = send_all(&t, s);
        if (code >= 0) code = receive_all(&t, &out);
        if (code < 0) status = failure(code);
    }
    avfilter_graph_free(&t.graph);
    sound_clear(failed(status) ? &out : s);
    if (!failed(status)) *s = out;
    return status;
}
