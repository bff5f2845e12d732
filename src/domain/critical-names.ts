/**
 * Names that facts have in `data.critical`. A release that knows what to do about one lists it in
 * `critical.ts`.
 */

/** A key of an authority is withdrawn: a release that knows of no rotation would go on trusting it. */
export const rotationIsCritical = 'authority-rotation';
