export async function get(url) {
  try {
    const response = await fetch(url);
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    // jco's convention: what is thrown is the error of the result.
    throw String(error);
  }
}
