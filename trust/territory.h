/* territory.h - where: ISO 3166-1 codes of two letters, and the groups EU, EEA and WORLD. */
#ifndef REELWRIGHT_TRUST_TERRITORY_H
#define REELWRIGHT_TRUST_TERRITORY_H

#include <stdbool.h>

/* A country's code in capitals, or a group's name. UK is taken for GB. */
bool trust_territory_known(const char *name);
/* The place (a country or a group) lies wholly inside the region. */
bool trust_territory_within(const char *place, const char *region);
/* Place and region have a country in common. */
bool trust_territory_overlaps(const char *place, const char *region);

#endif
