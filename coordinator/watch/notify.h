/* notify.h - tells people and programs what happened in a campaign: by webhook, by a command, or both.
 *
 * Theory of operation
 * - What can be told is in events.jsonl, line by line; a thread reads what is added there and delivers what is asked for, in order.
 *   The file is the queue: it is bounded by the disk, nothing is kept in memory, and no one who works waits for a delivery.
 * - A webhook is tried five times in about half a minute. While it is down, later events are tried once, so that a night of failures
 *   does not wait for it hour after hour. A command may take half a minute.
 * - logs/notify.log says what was delivered; an event that was not stands there in full.
 * - The thread belongs to the process that leads the run (the launcher, or rank 0 without one): a coordinator that dies is told of.
 */
#ifndef REELWRIGHT_NOTIFY_H
#define REELWRIGHT_NOTIFY_H

#include "coordinator/campaign/settings.h"

typedef struct Notify Notify;

enum { NOTIFY_TRIES = 5, NOTIFY_COMMAND_MS = 30000 };

/* Tells of what is added to folder/events.jsonl from now on; *out is NULL where there is nobody to tell. The key is read from the
 * settings' file, else from $REELWRIGHT_WEBHOOK_SECRET. ERR_INPUT: it cannot be read. */
Status notify_start(const char *folder, const NotifySettings *s, Notify **out);
/* Delivers what is there by now, for at most wait_ms; the rest is logged as not delivered. */
void notify_stop(Notify **n, int wait_ms);

#endif
