/* codec.h - encoders of libavcodec for pictures, set so that the same frames give the same bytes: one thread of each kind, no approximate
 * instructions. YUV420P, BT.709 limited range, tagged; a key frame every half second and none between, groups closed. */
#ifndef REELWRIGHT_CODEC_H
#define REELWRIGHT_CODEC_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>

#include "common/status.h"

typedef struct {
    int width, height, fps, crf, max_kbps;
    const char *codec, *preset; /* as encode.h has them */
} CodecOptions;

bool codec_is_known(const char *name);
/* ERR_NODE: this libavcodec lacks it; ERR_INPUT: it refuses these options. avcodec_free_context(out). */
Status codec_open(const CodecOptions *o, AVCodecContext **out);

#endif
