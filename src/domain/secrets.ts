/**
 * Named secrets of a fact that is about to be appended; the log seals them and they are never part of `data`.
 */
export type Secrets = Readonly<Record<string, Uint8Array>>;

/** A fact as its decider makes it: a recorded one never carries `secrets`. */
export type WithSecrets<F> = F & { readonly secrets?: Secrets };
