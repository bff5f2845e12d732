/** Names that facts have in `data.critical`. A release that can handle one lists it in `critical.ts`. */

/** A key of an authority is withdrawn: a release without rotation would continue to trust it. */
export const rotationIsCritical = 'authority-rotation';
