/* spoken.h - amounts of money, dates and times of day as they are said: engines read "3,50 €" as "three comma five zero Euro" and
 * "12.05.2026" as three numbers. German and English; text in other languages is left as it is. */
#ifndef REELWRIGHT_SPOKEN_H
#define REELWRIGHT_SPOKEN_H

/* "3,50 €" -> "3 Euro 50", "12.05.2026" -> "12. Mai 2026", "18:30 Uhr" -> "18 Uhr 30"; "$3.50" -> "3 dollars 50", "2026-05-12" -> "May 12,
 * 2026". language: "de", "de-AT", "en", "en-us" ... free() it. */
char *spoken_text(const char *text, const char *language);

#endif
