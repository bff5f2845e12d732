/**
 * What an event may ask for where the disk of the spool takes nothing, or the spool is full of what waits for
 * auth.
 */
export interface AuditClaim {
  /**
   * What it tells has happened: it is kept in memory where there is no other way. Of anything else it is made
   * sure that it is stored, or it is refused and must not happen.
   */
  readonly happened: boolean;
  /**
   * It is about somebody who may enter in spite of that: all of what is set aside is there for it, of else
   * one half.
   */
  readonly mayEnter: boolean;
}

/** Waits where the spool is full, and is refused where the disk is. */
export const ordinaryClaim: AuditClaim = { happened: false, mayEnter: false };
