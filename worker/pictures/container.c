#include "container.h"

#include <stdlib.h>

#include "common/file.h"

int container_open(const char *path, const char *formats, AVFormatContext **file)
{
    AVDictionary *options = NULL;
    char *address = text_format("file:%s", path);
    av_log_set_level(AV_LOG_FATAL);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    if (formats) av_dict_set(&options, "format_whitelist", formats, 0);
    *file = NULL;
    const AVInputFormat *only = formats ? av_find_input_format(formats) : NULL;
    const int code = avformat_open_input(file, address, only, &options);
    av_dict_free(&options);
    free(address);
    return code;
}
