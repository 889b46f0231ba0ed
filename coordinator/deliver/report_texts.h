/* report_texts.h - the report's style and script (report/), which stand in the page itself: it is one file, and asks nobody for anything. */
#ifndef REELWRIGHT_REPORT_TEXTS_H
#define REELWRIGHT_REPORT_TEXTS_H

extern const char report_css[], report_js[];

#endif
