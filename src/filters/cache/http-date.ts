/** A moment as HTTP writes it (RFC 9110, section 5.6.7), in its three forms. */

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const fixed = /^[a-z]{3}, (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/;
const obsolete = /^[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/;
const asctime = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;
/** Of a year of two digits: from here on it lies in the last century. */
const LAST_CENTURY = 70;

/** Milliseconds of the epoch; null when it is no date. */
export function parseHttpDate(text: string): number | null {
  const lower = text.toLowerCase();
  const found = fixed.exec(lower) ?? obsolete.exec(lower);
  if (found !== null) {
    const [, day, month, year, hour, minute, second] = found;
    return moment({ day, month, year: fullYear(year!), time: [hour, minute, second] });
  }
  const other = asctime.exec(lower);
  if (other === null) return null;
  const [, month, day, hour, minute, second, year] = other;
  return moment({ day, month, year: Number(year), time: [hour, minute, second] });
}

interface Parts {
  readonly day: string | undefined;
  readonly month: string | undefined;
  readonly year: number;
  readonly time: readonly (string | undefined)[];
}

function moment({ day, month, year, time }: Parts): number | null {
  const monthIndex = months.indexOf(month!);
  const [hour, minute, second] = time.map(Number);
  if (monthIndex < 0 || hour! > 23 || minute! > 59 || second! > 60) return null;
  const date = new Date(Date.UTC(year, monthIndex, Number(day), hour, minute, second));
  return date.getUTCMonth() === monthIndex ? date.getTime() : null;
}

function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length > 2) return year;
  return year < LAST_CENTURY ? 2000 + year : 1900 + year;
}
