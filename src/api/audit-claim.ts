/**
 * What an event may use when the disk of the spool is full, or the spool is full of events that wait for
 * auth.
 */
export interface AuditClaim {
  /**
   * Whether it reports something that has already happened: then it is kept in memory if there is no other
   * way. Otherwise the event must be stored, or it is refused and what it reports must not happen.
   */
  readonly happened: boolean;
  /**
   * Whether it is about somebody who may enter in spite of that: then it may use the whole reserve, otherwise
   * half of it.
   */
  readonly mayEnter: boolean;
}

/** Waits when the spool is full, and is refused when the disk is. */
export const ordinaryClaim: AuditClaim = { happened: false, mayEnter: false };
