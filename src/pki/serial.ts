import { randomBytes } from 'node:crypto';

/** Bytes of a serial number: the size of the field in an SSH certificate. */
const bytes = 8;

/**
 * Identifies one issue of certificates, the same in an SSH certificate and in its twin in X.509. 64 bits, of
 * which 62 are random: never 0, which in SSH means none, and of one length and positive in X.509.
 */
export function newSerial(): bigint {
  const serial = randomBytes(bytes);
  serial.writeUInt8((serial.readUInt8() & 0x7f) | 0x40);
  return serial.readBigUInt64BE();
}

/** The form for people and the log: decimal, as ssh-keygen prints that of an SSH certificate. */
export const serialText = (serial: bigint): string => serial.toString();

/** That of an X.509 certificate, whose hexadecimal form node:crypto gives. */
export const serialOfX509 = ({ serialNumber }: { readonly serialNumber: string }): bigint =>
  BigInt(`0x${serialNumber}`);
