/* container.h - a file that libav reads: a video, a sound or a picture. */
#ifndef REELWRIGHT_CONTAINER_H
#define REELWRIGHT_CONTAINER_H

#include <libavformat/avformat.h>

/* Opens the file of this name, and nothing else: a name with a colon passes for no other protocol, and what is inside cannot ask for
 * addresses on the net. `formats`: the names of libav's formats that are expected, with commas, for a file that people have; one name: it is read as that format; NULL: any, for
 * a file that the farm has made. Returns 0, or libav's code below 0 with *file NULL; avformat_close_input() closes. libav then says nothing on
 * standard error but what ends the program. */
int container_open(const char *path, const char *formats, AVFormatContext **file);

#endif
