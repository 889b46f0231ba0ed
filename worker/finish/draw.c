#include "draw.h"

#include <stdio.h>
#include <stdlib.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/pixdesc.h>

#include "common/file.h"

/* The same font on every machine gives the same bytes; drawtext's choice by name is what is left without it. */
static const char font_file[] = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

struct Draw {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
};

static Status av_failed(int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "cannot draw text: %s: %s", what, text);
}

static Status add_filter(Draw *d, const char *kind, AVDictionary **options, AVFilterContext **out)
{
    const AVFilter *filter = avfilter_get_by_name(kind);
    if (!filter) return status_fail(ERR_NODE, "cannot draw text: this libavfilter has no %s", kind);
    *out = avfilter_graph_alloc_filter(d->graph, filter, NULL);
    int code = *out ? avfilter_init_dict(*out, options) : AVERROR(ENOMEM);
    return code < 0 ? av_failed(code, kind) : status_ok();
}

static Status add_source(Draw *d, int width, int height, enum AVPixelFormat format, int fps)
{
    AVDictionary *o = NULL;
    av_dict_set_int(&o, "width", width, 0);
    av_dict_set_int(&o, "height", height, 0);
    av_dict_set(&o, "pix_fmt", av_get_pix_fmt_name(format), 0);
    char *base = text_format("1/%d", fps);
    av_dict_set(&o, "time_base", base, 0);
    free(base);
    Status status = add_filter(d, "buffer", &o, &d->source);
    av_dict_free(&o);
    return status;
}

static Status add_text(Draw *d, const DrawText *t, AVFilterContext **out)
{
    AVDictionary *o = NULL;
    char *enable =
        t->to_s > 0 ? text_format("between(t,%.3f,%.3f)", t->from_s, t->to_s) : text_format("gte(t,%.3f)", t->from_s);
    av_dict_set(&o, "text", t->text, 0);
    av_dict_set(&o, "expansion", "none", 0);
    av_dict_set(&o, "x", t->x, 0);
    av_dict_set(&o, "y", t->y, 0);
    av_dict_set(&o, "fontcolor", t->color, 0);
    av_dict_set_int(&o, "fontsize", t->size_px, 0);
    av_dict_set(&o, file_exists(font_file) ? "fontfile" : "font", file_exists(font_file) ? font_file : "Sans", 0);
    if (t->box) {
        av_dict_set_int(&o, "box", 1, 0);
        av_dict_set(&o, "boxcolor", t->box, 0);
        av_dict_set_int(&o, "boxborderw", t->size_px / 3, 0);
    }
    av_dict_set(&o, "enable", enable, 0);
    free(enable);
    Status status = add_filter(d, "drawtext", &o, out);
    av_dict_free(&o);
    return status;
}

static Status build(Draw *d, const DrawText *text, int count, int width, int height, enum AVPixelFormat format, int fps)
{
    d->graph = avfilter_graph_alloc();
    if (!d->graph) return status_fail(ERR_NODE, "cannot draw text: out of memory");
    d->graph->nb_threads = 1;
    TRY(add_source(d, width, height, format, fps));
    AVFilterContext *last = d->source;
    for (int i = 0; i <= count; i++) {
        AVFilterContext *next = NULL;
        TRY(i < count ? add_text(d, &text[i], &next) : add_filter(d, "buffersink", NULL, &next));
        int code = avfilter_link(last, 0, next, 0);
        if (code < 0) return av_failed(code, "link");
        last = next;
    }
    d->sink = last;
    int code = avfilter_graph_config(d->graph, NULL);
    return code < 0 ? av_failed(code, "configure") : status_ok();
}

Status draw_open(const DrawText *text, int count, int width, int height, enum AVPixelFormat format, int fps, Draw **out)
{
    av_log_set_level(AV_LOG_FATAL);
    *out = memory_get(1, sizeof **out);
    Status status = build(*out, text, count, width, height, format, fps);
    if (failed(status)) draw_close(out);
    return status;
}

Status draw_frame(Draw *d, AVFrame *frame)
{
    int code = av_buffersrc_add_frame_flags(d->source, frame, AV_BUFFERSRC_FLAG_PUSH); /* takes what frame holds */
    if (code >= 0) code = av_buffersink_get_frame(d->sink, frame);
    return code < 0 ? av_failed(code, "frame") : status_ok();
}

void draw_close(Draw **d)
{
    if (!*d) return;
    avfilter_graph_free(&(*d)->graph);
    free(*d);
    *d = NULL;
}
