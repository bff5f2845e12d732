import forge from 'node-forge';
import type { Instant } from '../base/time.ts';

const { asn1 } = forge;
const { Type, Class } = asn1;

/** A piece of a DER structure. Its text values are bytes, one per character. */
export type Asn1 = forge.asn1.Asn1;

/** One attribute of a distinguished name, by its object identifier. */
export interface NameAttribute {
  readonly oid: string;
  readonly value: string;
}

export const oids = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  street: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  postalCode: '2.5.4.17',
} as const;

/** node-forge's form for bytes: a character each. */
export const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const universal = (type: forge.asn1.Type, value: Asn1[] | string): Asn1 =>
  asn1.create(Class.UNIVERSAL, type, Array.isArray(value), value);

export const sequence = (...items: Asn1[]): Asn1 => universal(Type.SEQUENCE, items);
export const oid = (dotted: string): Asn1 => universal(Type.OID, asn1.oidToDer(dotted).getBytes());
export const octets = (bytes: Uint8Array): Asn1 => universal(Type.OCTETSTRING, binary(bytes));
export const boolean = (value: boolean): Asn1 => universal(Type.BOOLEAN, value ? '\xff' : '\x00');
/** `bytes`: two's complement, most significant first. */
export const integer = (bytes: Uint8Array): Asn1 => universal(Type.INTEGER, binary(bytes));
/** Whole bytes when `unusedBits` is 0. */
export const bits = (bytes: Uint8Array, unusedBits = 0): Asn1 =>
  universal(Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes));

/** `[tag]`: implicit over bytes, explicit over items. */
export function tagged(tag: number, value: Asn1[] | Uint8Array): Asn1 {
  const explicit = Array.isArray(value);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a tag of a context is any number
  return asn1.create(Class.CONTEXT_SPECIFIC, tag, explicit, explicit ? value : binary(value));
}

/** True for what `tagged` makes with this tag. */
export const isTagged = ({ tagClass, type }: Asn1, tag: number): boolean =>
  tagClass === Class.CONTEXT_SPECIFIC && (type as number) === tag;

export const derOf = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

/** The published types of node-forge know only its older form, with one flag. */
const parse = asn1.fromDer as unknown as (
  bytes: string,
  options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
) => Asn1;

/**
 * Reads DER; every byte must belong to it. Bit strings stay bytes, even when they happen to look like a
 * structure.
 * @throws Error of node-forge
 */
export const fromDer = (bytes: Uint8Array): Asn1 =>
  parse(binary(bytes), { strict: true, parseAllBytes: true, decodeBitStrings: false });

const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
const control = /[\x00-\x1f\x7f-\x9f]/;

/** True when a text is valid in a name: control characters could deceive people who read names. */
export const isSoundAttribute = (value: string): boolean => !control.test(value) && value.isWellFormed();

/** PrintableString when the text allows, else UTF8String. */
const text = (value: string): Asn1 =>
  printable.test(value)
    ? universal(Type.PRINTABLESTRING, value)
    : universal(Type.UTF8, binary(Buffer.from(value, 'utf8')));

/** A distinguished name in this order; each attribute is a part of its own, so that the order is kept. */
export const nameOf = (attributes: readonly NameAttribute[]): Asn1 =>
  sequence(
    ...attributes.map(({ oid: type, value }) => universal(Type.SET, [sequence(oid(type), text(value))])),
  );

/**
 * Every attribute of a name in order, over single and multi-valued parts alike.
 * @throws Error for text in another encoding than PrintableString and UTF8String, or with control characters.
 */
export function attributesOf(name: Asn1): NameAttribute[] {
  return (name.value as Asn1[]).flatMap((set) =>
    (set.value as Asn1[]).map((pair) => {
      const [type, value] = pair.value as [Asn1, Asn1];
      return { oid: asn1.derToOid(type.value as string), value: readText(value) };
    }),
  );
}

function readText({ type, tagClass, value }: Asn1): string {
  if (typeof value !== 'string') throw new Error('a name in the certificate is not text');
  const bytes = Buffer.from(value, 'latin1');
  const utf8 = tagClass === Class.UNIVERSAL && type === Type.UTF8;
  const latin = tagClass === Class.UNIVERSAL && type === Type.PRINTABLESTRING;
  const decoded = utf8 ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) : undefined;
  const found = decoded ?? (latin ? bytes.toString('latin1') : undefined);
  if (found === undefined || !isSoundAttribute(found) || (latin && /[^\x20-\x7e]/.test(found)))
    throw new Error('a name in the certificate is not sound text');
  return found;
}

/**
 * UTCTime until 2049, then GeneralizedTime; fractions of a second are dropped. Source: RFC 5280, section
 * 4.1.2.5.
 */
export function time(at: Instant): Asn1 {
  const digits = at.slice(0, 19).replace(/[-:T]/g, '');
  return Number(at.slice(0, 4)) < 2050
    ? universal(Type.UTCTIME, `${digits.slice(2)}Z`)
    : universal(Type.GENERALIZEDTIME, `${digits}Z`);
}
