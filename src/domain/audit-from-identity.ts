import { catalogue } from './audit-catalogue.ts';
import type { EventBody } from './audit-kind.ts';
import type { IdentityFact } from './identity.ts';

/** `user`: whom the certificate speaks for; for a certificate of a host, whoever had it signed. */
export function tellIdentity(fact: IdentityFact | undefined, by: string): EventBody | undefined {
  if (fact === undefined) return undefined;
  const { holder, expiresAt, forced, serial, key, format } = fact.data;
  const common = { signed_by: by, serial, key, format, expires: expiresAt };
  const kind = forced ? catalogue.identityForced : catalogue.identitySigned;
  if (holder.kind === 'host') return kind({ ...common, cert_type: 'host', user: by, names: holder.names });
  const { username, roles, logins, administers } = holder;
  return kind({ ...common, cert_type: 'user', user: username, roles, logins, administers });
}
